//! How often latents fire, as a histogram of log₁₀ density.

/// A histogram of log₁₀ density; latents that never fired stand apart.
#[derive(Debug, Clone, PartialEq)]
pub struct DensityHistogram {
    /// log₁₀ density of the left edge of the first bin.
    pub from: f64,
    /// Width of a bin.
    pub step: f64,
    /// Latents in each bin; the last one holds density 1.
    pub counts: Vec<u64>,
    /// Latents that never fired.
    pub silent: u64,
}

impl DensityHistogram {
    /// Of `densities` (shares of tokens, 0 to 1) measured on `tokens` tokens, in `bins` bins from
    /// one token in all to every token.
    pub fn new(densities: impl IntoIterator<Item = f32>, tokens: u64, bins: usize) -> Self {
        let bins = bins.max(1);
        let from = -(tokens.max(10) as f64).log10();
        let step = -from / bins as f64;
        let mut histogram = Self { from, step, counts: vec![0; bins], silent: 0 };
        for density in densities {
            // Not `<=`: a NaN fires as little as 0 does.
            if density > 0.0 {
                let bin = (f64::from(density).log10() - from) / step;
                histogram.counts[(bin.max(0.0) as usize).min(bins - 1)] += 1;
            } else {
                histogram.silent += 1;
            }
        }
        histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_latent_is_in_one_bin() {
        let densities = [0.0, 1e-4, 2e-4, 0.05, 0.5, 1.0, f32::NAN];
        let histogram = DensityHistogram::new(densities, 10_000, 4);
        assert_eq!((histogram.from, histogram.step), (-4.0, 1.0));
        assert_eq!(histogram.counts, [2, 0, 1, 2]);
        assert_eq!(histogram.silent, 2);
        let one = DensityHistogram::new([1e-9, 1.0], 0, 0);
        assert_eq!((one.counts, one.silent), (vec![2], 0));
    }
}
