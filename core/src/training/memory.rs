//! What a run will need, before it begins.

use super::config::TrainConfig;
use crate::sae::Architecture;

/// Bytes that a training run holds at its greatest, for activations of width `width`; without
/// the model and the source.
pub fn memory_needed(config: &TrainConfig, width: usize) -> u64 {
    const F32: u64 = 4;
    let (m, d, batch) = (config.latents as u64, width as u64, config.batch as u64);
    // Weights, gradients and two moments of both matrices, and the encoder packed once more.
    let matrices = 9 * m * d * F32;
    // The batch as read, scaled, taken over and centred, two errors, and those read ahead twice.
    let rows = (6 + 8) * batch * d * F32;
    // An active latent: found (8 to 16 bytes), listed (8), its slope (4), sorted (12).
    let entry = 40;
    let entries = match config.architecture_at(1).k() {
        Some(k) => {
            let aux = if config.aux_weight > 0.0 { (d / 2).max(1).min(m) } else { 0 };
            // While they are sought a row holds twice as many candidates.
            (k as u64 + aux) * (entry + 16) * batch
        }
        // Kept as a dense array as long as many latents are active.
        None => {
            let arrays = match config.architecture {
                Architecture::Gated => 3,
                Architecture::JumpRelu { .. } => 2,
                _ => 1,
            };
            arrays * m * batch * F32
        }
    };
    // Dead latents are packed once more for the auxiliary loss.
    let dead = if config.aux_weight > 0.0 { m * d * F32 } else { 0 };
    let average = if config.ema.is_some() { 2 * m * d * F32 } else { 0 };
    // A copy of the dictionary looks for the rows that are reconstructed worst.
    let resampling = if config.resample.is_some() { 3 * m * d * F32 } else { 0 };
    matrices + rows + entries + dead + average + resampling + 32 * m
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_with_what_it_should() {
        let config = TrainConfig::preset(Architecture::TopK { k: 32 }, 16384);
        let base = memory_needed(&config, 512);
        assert!(base > 8 * 16384 * 512 * 4 && base < 1 << 30, "{base}");
        let wide = TrainConfig { latents: 32768, ..config.clone() };
        assert!(memory_needed(&wide, 512) > base * 3 / 2);
        let long = TrainConfig { batch: 65536, ..config };
        assert!(memory_needed(&long, 512) > base * 2);
    }
}
