//! What is known of latents in the forms that others read: the JSON of Neuronpedia and
//! SAEDashboard, one self-contained HTML page, files of labels.

mod html;
mod import;
mod neuronpedia;
mod table;

#[cfg(test)]
mod tests;

pub use import::{LabelFile, import_labels, read_labels};

use crate::activations::tensor_file::write_atomically;
use crate::error::{Error, IoContext as _, Result};
use crate::features::{
    FeatureAbout, FeatureFile, LatentDetail, LatentSummary, LogitEffects, logit_effects,
};
use crate::jobs::JobContext;
use crate::llama::Model;
use crate::sae::Sae;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Tokens named at each end of the logit effects.
const TOKENS: usize = 10;
/// More features than this make a page that no browser shows with pleasure.
pub const MOST_ON_A_PAGE: usize = 1000;

/// The form that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A folder of SAEDashboard's batch files, which Neuronpedia's tools take in, and the labels
    /// in the form of Neuronpedia's explanations.
    Neuronpedia,
    /// One HTML page, with all that it needs in it.
    Html,
}

/// What is handed out, and where to.
#[derive(Debug, Clone)]
pub struct ExportRequest {
    /// The features, as [`crate::features::collect`] left them.
    pub features: PathBuf,
    /// The latents, in the order wanted; `None` for all that ever fired.
    pub latents: Option<Vec<u32>>,
    /// The form.
    pub format: Format,
    /// Folder (Neuronpedia) or file (HTML) to write.
    pub out: PathBuf,
    /// What the dictionary is called there: `my-sae`.
    pub name: String,
    /// What the model is called there: `stories260K`.
    pub model_name: String,
    /// What latents are said to stand for, and who says so.
    pub labels: BTreeMap<u32, ExportLabel>,
}

/// A label, as it is handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportLabel {
    /// What the latent stands for.
    pub text: String,
    /// Who says so: "by hand", the name of a language model.
    pub source: String,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// Where.
    pub out: PathBuf,
    /// Features in it.
    pub features: usize,
    /// Bytes of all files.
    pub bytes: u64,
}

/// A latent with all that is known of it.
pub(crate) struct Feature<'a> {
    pub summary: &'a LatentSummary,
    pub detail: LatentDetail,
    pub label: Option<&'a ExportLabel>,
    /// The direction that it writes.
    pub direction: &'a [f32],
    /// Its direct effect on the logits: one unit of activation, the final norm's factor taken as 1.
    pub effects: Option<LogitEffects>,
}

/// What all features of a dictionary have in common.
pub(crate) struct Common<'a> {
    pub request: &'a ExportRequest,
    pub about: &'a FeatureAbout,
    pub sae: &'a Sae,
}

/// Hands out features. Without a model the effects on the logits are left out.
///
/// # Errors
/// Features of another dictionary, a latent that there is not, a page of too many features, files
/// that cannot be read or written, cancelled.
pub fn export<E>(
    ctx: &JobContext<E>,
    model: Option<&Model>,
    sae: &Sae,
    request: &ExportRequest,
) -> Result<Exported> {
    let mut file = FeatureFile::open(&request.features)?;
    let (about, table) = (file.about().clone(), file.table()?);
    if table.latents.len() != sae.latents() || about.sae != sae.hash() {
        return Err(Error::setting(
            "The features are not those of the dictionary",
            "they were collected of another one, or it was trained on since",
            "Collect again",
        ));
    }
    let chosen: Vec<u32> = match &request.latents {
        Some(latents) => latents.clone(),
        None => table.latents.iter().filter(|l| l.fired > 0).map(|l| l.index).collect(),
    };
    let most = table.latents.len();
    if let Some(latent) = chosen.iter().find(|l| **l as usize >= most) {
        return Err(Error::setting(
            format!("There is no latent {latent}"),
            format!("the dictionary has {most}, from 0 on"),
            "Choose one of these",
        ));
    }
    if request.format == Format::Html && chosen.len() > MOST_ON_A_PAGE {
        return Err(Error::setting(
            format!("{} features are too many for one page", chosen.len()),
            format!("a page holds {MOST_ON_A_PAGE}"),
            "Choose some of them (--latent, --top)",
        ));
    }
    ctx.progress().stage("Writing features", "features", 0, chosen.len() as u64);
    let common = Common { request, about: &about, sae };
    let mut features = chosen.iter().map(|latent| {
        ctx.check()?;
        let summary = &table.latents[*latent as usize];
        let detail = file.detail(*latent as usize)?;
        let effects =
            model.map(|model| logit_effects(model, sae, *latent, 1.0, 1.0, TOKENS)).transpose()?;
        ctx.progress().add(1);
        let direction = sae.direction(*latent as usize);
        Ok(Feature { summary, detail, label: request.labels.get(latent), direction, effects })
    });
    let bytes = match request.format {
        Format::Neuronpedia => neuronpedia::write(&common, &mut features)?,
        Format::Html => {
            let page = html::page(&common, &mut features)?;
            write_file(&request.out, page.as_bytes())?
        }
    };
    Ok(Exported { out: request.out.clone(), features: chosen.len(), bytes })
}

/// Writes a file, making its folder; returns its size.
fn write_file(path: &Path, bytes: &[u8]) -> Result<u64> {
    if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        fs::create_dir_all(folder).doing(|| format!("Could not make {}", folder.display()))?;
    }
    write_atomically(path, |file| std::io::Write::write_all(file, bytes))?;
    Ok(bytes.len() as u64)
}
