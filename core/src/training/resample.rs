//! Resampling of dead latents.

use super::trainer::Trainer;
use crate::error::{Error, Result};
use crate::sae::{About, architectures};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Norm of a resampled encoder row, as a share of the mean norm of those alive.
const ENCODER_SHARE: f64 = 0.2;

/// The same where latents compete for k places: a quiet one would never win one and stay dead.
const ENCODER_SHARE_OF_K: f64 = 1.0;

impl Trainer {
    /// Gives dead latents (silent for `dead_after` tokens) something to do (Bricken et al. 2023):
    /// each gets a row of `batch` (raw, `[n, width]`), drawn without replacement with probability
    /// ∝ ‖x − x̂‖⁴ (the squared loss). Its direction becomes `x − b_dec`, what the encoder sees of
    /// the row, at unit norm; its encoder row the same at a fifth of the mean norm of those of
    /// living latents (at their full norm where latents compete for k places); its encoder bias, both Adam moments and its silence become 0. Where more
    /// latents are dead than rows can be drawn, the rest waits for the next time.
    ///
    /// Random numbers come from the run's own. With `by_hand` the step is written into the
    /// settings ([`super::TrainConfig::resample_at`]), so that the same settings give the same
    /// weights again. Returns how many latents were resampled.
    ///
    /// # Errors
    /// The rows do not fit, or hold a NaN.
    pub fn resample(&mut self, batch: &[f32], by_hand: bool) -> Result<usize> {
        if self.row_width() != self.width() {
            return Err(Error::setting(
                "Latents of a transcoder cannot be resampled",
                "the published recipe gives a latent the direction of a row that it also sees",
                "Let the AuxK loss of TopK or BatchTopK revive them",
            ));
        }
        let step = self.counters.step;
        if by_hand && !self.config.resamples_at(step) {
            self.config.resample_at.push(step);
        }
        let dead_after = self.config.dead_after;
        let silent = &self.counters.silent_for;
        let dead: Vec<usize> = (0..silent.len()).filter(|i| silent[*i] >= dead_after).collect();
        if dead.is_empty() {
            return Ok(0);
        }
        let losses = self.row_losses(batch)?;
        let weights: Vec<f64> = losses.iter().map(|loss| loss * loss).collect();
        let drawn = draw(&weights, dead.len(), &mut self.counters.rng);
        let directions = self.directions(batch, &drawn);
        let share = match self.config.architecture.k() {
            Some(_) => ENCODER_SHARE_OF_K,
            None => ENCODER_SHARE,
        };
        let norm = (share * self.living_norm(&dead)) as f32;
        let mut count = 0;
        let given: Vec<(usize, &[f32])> = dead
            .iter()
            .copied()
            .zip(&directions)
            .filter_map(|(i, direction)| Some((i, direction.as_deref()?)))
            .collect();
        let rule = architectures::rule(&self.config.architecture, self.config.latents);
        let threshold = rule.start().threshold;
        self.engine.rewrite(&mut |parameters, optimizer| {
            let d = parameters.b_dec.len();
            for (i, direction) in &given {
                parameters.decoder.row_mut(*i).copy_from_slice(direction);
                let row = parameters.encoder.row_mut(*i);
                row.iter_mut().zip(*direction).for_each(|(w, x)| *w = norm * x);
                parameters.b_enc[*i] = 0.0;
                parameters.extra.start_afresh(*i, threshold);
                let lengths = parameters.parts().into_iter().map(|(name, part)| (name, part.len()));
                let m = parameters.b_enc.len();
                for (moments, (name, len)) in optimizer.moments.iter_mut().zip(lengths) {
                    // Row after row in matrices, entry by entry in what there is one of a latent.
                    let span = match len {
                        _ if name == "b_dec" => continue,
                        _ if len == m * d => i * d..(i + 1) * d,
                        _ if len == m => *i..i + 1,
                        _ => continue,
                    };
                    moments.first[span.clone()].fill(0.0);
                    moments.second[span].fill(0.0);
                }
                count += 1;
            }
        });
        for (i, _) in &given {
            self.counters.silent_for[*i] = 0;
        }
        if let Some(average) = &mut self.average {
            let now = self.engine.parameters();
            for (i, _) in &given {
                average.decoder.row_mut(*i).copy_from_slice(now.decoder.row(*i));
                average.encoder.row_mut(*i).copy_from_slice(now.encoder.row(*i));
                average.b_enc[*i] = 0.0;
                average.extra.start_afresh(*i, threshold);
            }
        }
        Ok(count)
    }

    /// ‖x − x̂‖² of each row, in raw units.
    fn row_losses(&self, batch: &[f32]) -> Result<Vec<f64>> {
        let sae = self.dictionary_of(self.engine.parameters(), About::default());
        let back = sae.decode(&sae.encode(batch)?)?;
        let d = self.width();
        let error = |(x, y): (&[f32], &[f32])| {
            x.iter().zip(y).map(|(x, y)| (f64::from(*x) - f64::from(*y)).powi(2)).sum()
        };
        Ok(batch.chunks_exact(d).zip(back.chunks_exact(d)).map(error).collect())
    }

    /// What the encoder sees of these rows, at unit norm; `None` where it sees nothing.
    fn directions(&self, batch: &[f32], rows: &[usize]) -> Vec<Option<Vec<f32>>> {
        let (d, scale) = (self.width(), self.counters.scale);
        let bias = &self.engine.parameters().b_dec;
        let direction = |row: &usize| {
            let row = &batch[row * d..(row + 1) * d];
            let seen = row.iter().zip(bias).map(|(x, b)| f64::from(*x) * scale - f64::from(*b));
            let seen: Vec<f64> = seen.collect();
            let norm = seen.iter().map(|v| v * v).sum::<f64>().sqrt();
            (norm > 0.0 && norm.is_finite())
                .then(|| seen.iter().map(|v| (v / norm) as f32).collect())
        };
        rows.iter().map(direction).collect()
    }

    /// Mean norm of the encoder rows of latents that are not among `dead` (ascending); 1 if none
    /// is left.
    fn living_norm(&self, dead: &[usize]) -> f64 {
        let norms = self.engine.parameters().encoder.row_norms();
        let living = (0..norms.len()).filter(|i| dead.binary_search(i).is_err());
        let (sum, count) =
            living.fold((0.0, 0u64), |(sum, n), i| (sum + f64::from(norms[i]), n + 1));
        if count > 0 && sum > 0.0 { sum / count as f64 } else { 1.0 }
    }
}

/// At most `count` different places, drawn one after the other with probability ∝ weight; those
/// of weight 0 never. (Efraimidis & Spirakis: the greatest `ln(u) / w`.)
fn draw(weights: &[f64], count: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut keys: Vec<(f64, usize)> = Vec::with_capacity(weights.len());
    for (i, weight) in weights.iter().enumerate() {
        // Drawn for every row, so that how many numbers are used depends on nothing else.
        let u: f64 = 1.0 - rng.random::<f64>();
        if *weight > 0.0 && weight.is_finite() {
            keys.push((u.ln() / weight, i));
        }
    }
    keys.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    keys.into_iter().take(count).map(|(_, i)| i).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sae::Architecture;
    use crate::training::TrainConfig;
    use rand::SeedableRng;

    #[test]
    fn rows_are_drawn_by_their_weight_and_each_once() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let weights = [1.0, 0.0, 3.0, 0.0, 6.0];
        let mut first = [0u32; 5];
        for _ in 0..20_000 {
            let mut drawn = draw(&weights, 4, &mut rng);
            first[drawn[0]] += 1;
            drawn.sort_unstable();
            assert_eq!(drawn, [0, 2, 4]);
        }
        for (n, w) in first.into_iter().zip(weights) {
            // Four standard deviations of a share of 20,000 are under 0.015.
            assert!((f64::from(n) / 20_000.0 - w / 10.0).abs() < 0.015, "{first:?}");
        }
    }

    fn rows(n: usize, d: usize) -> Vec<f32> {
        (0..n * d).map(|i| ((i * i % 97) as f32 * 0.37).sin() * 3.0 + 1.0).collect()
    }

    fn trainer(dead: usize) -> (Trainer, Vec<f32>) {
        trainer_of(Architecture::TopK { k: 4 }, dead)
    }

    fn trainer_of(architecture: Architecture, dead: usize) -> (Trainer, Vec<f32>) {
        let mut config = TrainConfig::preset(architecture, 40);
        (config.batch, config.dead_after, config.lr) = (64, 1000, 1e-2);
        let rows = rows(64, 12);
        let mut trainer = Trainer::new(&config, 12, &rows).unwrap();
        for _ in 0..5 {
            trainer.step(&rows, &|| Ok(())).unwrap();
        }
        trainer.counters.silent_for.fill(0);
        trainer.counters.silent_for[..dead].fill(5000);
        (trainer, rows)
    }

    #[test]
    fn thresholds_and_magnitudes_start_afresh_too() {
        for name in ["jumprelu", "gated"] {
            let (mut trainer, rows) = trainer_of(Architecture::named(name, 4).unwrap(), 10);
            trainer.engine.rewrite(&mut |parameters, _| {
                parameters.extra.parts_mut().into_iter().for_each(|(_, part)| part.fill(7.0));
            });
            assert_eq!(trainer.resample(&rows, true).unwrap(), 10);
            for (part, values) in trainer.parameters().extra.parts() {
                let start = if part == "threshold" { 0.01 } else { 0.0 };
                assert!(values[..10].iter().all(|v| *v == start), "{part} {values:?}");
                assert!(values[10..].iter().all(|v| *v == 7.0), "{part} {values:?}");
            }
        }
    }

    #[test]
    fn a_dead_latent_gets_a_row_and_starts_afresh() {
        let (mut trainer, rows) = trainer(10);
        let before = trainer.parameters().clone();
        let mean = before.encoder.row_norms()[10..].iter().sum::<f32>() / 30.0;
        assert_eq!(trainer.resample(&rows, true).unwrap(), 10);
        let after = trainer.parameters();
        let scale = trainer.counters().scale as f32;
        let seen: Vec<Vec<f32>> = rows
            .chunks(12)
            .map(|x| {
                let seen: Vec<f32> =
                    x.iter().zip(&after.b_dec).map(|(x, b)| x * scale - b).collect();
                let norm = seen.iter().map(|v| v * v).sum::<f32>().sqrt();
                seen.iter().map(|v| v / norm).collect()
            })
            .collect();
        for i in 0..10 {
            let near = |row: &Vec<f32>| {
                row.iter().zip(after.decoder.row(i)).all(|(a, b)| (a - b).abs() < 1e-5)
            };
            assert!(seen.iter().any(near), "latent {i} points at no row");
            let share = after.encoder.row(i).iter().zip(after.decoder.row(i));
            assert!(share.clone().all(|(e, d)| (e - mean * d).abs() < 1e-5));
            assert_eq!((after.b_enc[i], trainer.counters().silent_for[i]), (0.0, 0));
            for (part, each) in trainer.optimizer().moments.iter().zip([12, 1, 12]) {
                let span = i * each..(i + 1) * each;
                assert!(
                    part.first[span.clone()].iter().chain(&part.second[span]).all(|v| *v == 0.0)
                );
            }
        }
        for i in 10..40 {
            assert_eq!(after.decoder.row(i), before.decoder.row(i));
        }
        assert_eq!(trainer.config().resample_at, [5]);
        assert_eq!(trainer.resample(&rows, true).unwrap(), 0, "none is dead any more");
        // The engine works with the new weights: its next step fires some of them.
        trainer.step(&rows, &|| Ok(())).unwrap();
        assert!(trainer.counters().silent_for[..10].contains(&0));
    }

    #[test]
    fn more_dead_latents_than_rows_and_rows_without_loss_are_survived() {
        let (mut all_dead, rows) = trainer(40);
        assert_eq!(all_dead.resample(&rows[..12 * 7], false).unwrap(), 7);
        assert!(all_dead.config().resample_at.is_empty());
        let (mut trainer, _) = trainer(3);
        let nan = [f32::NAN; 24];
        assert!(trainer.resample(&nan, false).is_err());
    }
}
