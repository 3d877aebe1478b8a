//! Our own files: a folder with `sae.json` and `sae.safetensors`.
//!
//! `sae.json` names the weights file by its SHA-256, so that the two can never be mixed up. The
//! weights take their place first: a kill between the two renames leaves the new `sae.json`
//! waiting beside, and [`Sae::load`] takes it where it fits the weights.

use super::tensors::{self, Tensor};
use super::{About, Architecture, Extra, Matrix, Sae, Wiring};
use crate::error::{Error, IoContext, Result};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

const FORMAT: &str = "sparsescope-sae";
const VERSION: u32 = 1;
const DESCRIPTION: &str = "sae.json";
const WEIGHTS: &str = "sae.safetensors";

#[derive(Serialize, Deserialize)]
struct Description {
    format: String,
    version: u32,
    /// SHA-256 of the weights file.
    weights: String,
    width: usize,
    latents: usize,
    architecture: Architecture,
    #[serde(default)]
    wiring: Wiring,
    about: About,
}

impl Sae {
    /// Writes the dictionary to the folder `dir`, which is made if need be; a dictionary that
    /// was there stays whole until the new one is.
    ///
    /// # Errors
    /// The folder cannot be written, the disk is full, the dictionary is not valid.
    pub fn save(&self, dir: &Path) -> Result<()> {
        self.validate()?;
        fs::create_dir_all(dir).doing(|| format!("Could not make {}", dir.display()))?;
        let (m, d) = (self.latents(), self.width());
        let mut parts = vec![
            Tensor::f32("encoder", &[m, d], self.encoder.data()),
            Tensor::f32("b_enc", &[m], &self.b_enc),
            Tensor::f32("decoder", &[m, d], self.decoder.data()),
            Tensor::f32("b_dec", &[d], &self.b_dec),
        ];
        let shapes = self.extra_shapes();
        for ((name, data), (_, shape)) in self.extra.parts().into_iter().zip(&shapes) {
            parts.push(Tensor::f32(name, shape, data));
        }
        let metadata = [("format", FORMAT.to_owned())];
        let weights = tensors::write_tensors_beside(&dir.join(WEIGHTS), &parts, &metadata)?;
        let description = Description {
            format: FORMAT.to_owned(),
            version: VERSION,
            weights,
            width: d,
            latents: m,
            architecture: self.architecture.clone(),
            wiring: self.wiring,
            about: self.about.clone(),
        };
        let text = serde_json::to_vec_pretty(&description)
            .map_err(|e| Error::internal("A dictionary could not be described", e.to_string()))?;
        let path = dir.join(DESCRIPTION);
        tensors::write_beside_bytes(&path, &text)?;
        tensors::put_in_place(&dir.join(WEIGHTS))?;
        tensors::put_in_place(&path)
    }

    /// Reads a dictionary from a folder that [`Sae::save`] wrote.
    ///
    /// # Errors
    /// Missing, truncated or foreign files, shapes that do not fit, a NaN.
    pub fn load(dir: &Path) -> Result<Self> {
        let mut read = tensors::read_tensors(&dir.join(WEIGHTS))?;
        let path = dir.join(DESCRIPTION);
        let description = match describe(&path) {
            Ok(description) if description.weights == read.hash => description,
            other => match describe(&tensors::beside(&path)) {
                Ok(waiting) if waiting.weights == read.hash => waiting,
                _ => {
                    other?;
                    return Err(tensors::damaged(
                        &dir.join(WEIGHTS),
                        "it is not the weights file that sae.json names (SHA-256 differs)",
                    ));
                }
            },
        };
        let (m, d) = (description.latents, description.width);
        let shapes = Extra::shapes_used(&description.architecture, description.wiring, m, d);
        let extra = Extra::made_of(&shapes, |name, shape| read.take_shaped(name, shape))?;
        let sae = Self {
            extra,
            wiring: description.wiring,
            architecture: description.architecture,
            encoder: Matrix::new(m, d, read.take_shaped("encoder", &[m, d])?)?,
            b_enc: read.take_shaped("b_enc", &[m])?,
            decoder: Matrix::new(m, d, read.take_shaped("decoder", &[m, d])?)?,
            b_dec: read.take_shaped("b_dec", &[d])?,
            about: description.about,
        };
        sae.validate()?;
        Ok(sae)
    }

    /// Whether `dir` looks like a folder that [`Sae::save`] wrote; reads no weights.
    pub fn is_at(dir: &Path) -> bool {
        dir.join(DESCRIPTION).is_file() && dir.join(WEIGHTS).is_file()
    }
}

fn describe(path: &Path) -> Result<Description> {
    let bytes = fs::read(path).doing(|| format!("Could not read {}", path.display()))?;
    let description: Description =
        serde_json::from_slice(&bytes).map_err(|e| tensors::damaged(path, &e.to_string()))?;
    if description.format != FORMAT {
        return Err(tensors::damaged(path, &format!("its format is {:?}", description.format)));
    }
    if description.version > VERSION {
        return Err(Error::format(
            format!("{} cannot be read", path.display()),
            format!("its version is {}; this program knows up to {VERSION}", description.version),
            "Use a newer version of Sparsescope",
        ));
    }
    Ok(description)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn small() -> Sae {
        let numbers = |n: usize, by: f32| (0..n).map(|i| (i as f32 * by).sin()).collect::<Vec<_>>();
        Sae {
            architecture: Architecture::TopK { k: 2 },
            encoder: Matrix::new(6, 4, numbers(24, 0.7)).unwrap(),
            b_enc: numbers(6, 0.1),
            decoder: Matrix::new(6, 4, numbers(24, 1.3)).unwrap(),
            b_dec: numbers(4, 0.2),
            extra: Extra::default(),
            wiring: Wiring::Centred,
            about: About { tokens: 5, scale_folded: 1.5, ..About::default() },
        }
    }

    #[test]
    fn comes_back_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let sae = small();
        sae.save(dir.path()).unwrap();
        assert!(Sae::is_at(dir.path()));
        let back = Sae::load(dir.path()).unwrap();
        assert_eq!(back, sae);
        assert_eq!(back.hash(), sae.hash());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing is left lying about");
    }

    #[test]
    fn a_kill_between_the_two_renames_loses_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut sae = small();
        sae.save(dir.path()).unwrap();
        let old = fs::read(dir.path().join(DESCRIPTION)).unwrap();
        sae.b_enc[0] = 7.0;
        sae.save(dir.path()).unwrap();
        fs::rename(dir.path().join(DESCRIPTION), dir.path().join("sae.json.new")).unwrap();
        fs::write(dir.path().join(DESCRIPTION), old).unwrap();
        assert_eq!(Sae::load(dir.path()).unwrap(), sae);
    }

    #[test]
    fn hostile_files_are_refused_with_a_reason() {
        let dir = tempfile::tempdir().unwrap();
        small().save(dir.path()).unwrap();
        let path = dir.path().join(WEIGHTS);
        let good = fs::read(&path).unwrap();
        let mut cases = vec![Vec::new(), good[..7].to_vec(), good[..good.len() - 3].to_vec()];
        let mut huge = good.clone();
        huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        cases.push(huge);
        for at in 0..good.len() {
            let mut flipped = good.clone();
            flipped[at] ^= 0x55;
            cases.push(flipped);
        }
        for bytes in cases {
            fs::write(&path, bytes).unwrap();
            assert_eq!(Sae::load(dir.path()).unwrap_err().kind, ErrorKind::Format);
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(Sae::load(dir.path()).unwrap_err().kind, ErrorKind::Io);
        fs::write(&path, good).unwrap();
        for text in ["", "{", "[]", "{\"format\":\"sparsescope-sae\"}"] {
            fs::write(dir.path().join(DESCRIPTION), text).unwrap();
            assert_eq!(Sae::load(dir.path()).unwrap_err().kind, ErrorKind::Format);
        }
    }

    #[test]
    fn what_cannot_be_used_is_not_saved() {
        let dir = tempfile::tempdir().unwrap();
        let mut sae = small();
        sae.b_dec[1] = f32::NAN;
        assert!(sae.save(dir.path()).unwrap_err().why.contains("b_dec"));
        let mut sae = small();
        sae.architecture = Architecture::TopK { k: 7 };
        assert!(sae.save(dir.path()).unwrap_err().why.contains("k = 7"));
        assert!(!Sae::is_at(dir.path()));
    }
}
