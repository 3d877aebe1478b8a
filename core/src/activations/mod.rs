//! Rows read at a site: live from a model through a shuffle buffer, or from a store on disk.

mod blocks;
mod capture;
mod disk;
mod forward;
mod live;
mod manifest;
mod paired;
mod spec;
mod store;
pub(crate) mod tensor_file;

#[cfg(test)]
mod store_tests;
#[cfg(test)]
pub(crate) mod testing;

use capture::Columns;
pub use capture::capture;
pub use forward::{Group, gather, groups, numbers, read_rows, read_rows_at, site_output};
pub use live::{LiveSource, Seen};
pub use paired::PairedSource;
pub use spec::{CaptureOutcome, CaptureSpec, Outliers, StoreDtype, StreamSpec};
pub use store::StoreSource;

use crate::error::{Error, Result};
use crate::jobs::JobContext;
use crate::llama::Site;
use serde::{Deserialize, Serialize};

/// An endless, shuffled stream of activation rows at one site.
///
/// The stream is a function of its settings and its seed alone: a source that seeks to a
/// position gives the same rows, bit for bit, as one that read its way there.
pub trait Source: Send {
    /// Width d of a row.
    fn width(&self) -> usize;

    /// Appends the next `rows` rows, `rows * width` numbers, to `out`.
    ///
    /// # Errors
    /// Cancelled, unreadable text, an empty corpus, a NaN in the activations.
    fn read(
        &mut self,
        check: &dyn Fn() -> Result<()>,
        rows: usize,
        out: &mut Vec<f32>,
    ) -> Result<()>;

    /// Number of sites that it reads at once.
    fn sites(&self) -> usize {
        1
    }

    /// Appends the next `rows` rows of every site: the same tokens in the same order, those of
    /// site `i` to `out[i]`. The first site is that of [`Source::read`].
    ///
    /// # Errors
    /// As [`Source::read`].
    fn read_sites(
        &mut self,
        check: &dyn Fn() -> Result<()>,
        rows: usize,
        out: &mut [&mut Vec<f32>],
    ) -> Result<()> {
        match out {
            [out] => self.read(check, rows, out),
            _ => Err(Error::internal(
                "Activations could not be read",
                format!("{} sites were asked of a source that has one", out.len()),
            )),
        }
    }

    /// Where the stream stands.
    fn position(&self) -> Position;

    /// Goes to a position that this stream (with these settings) had before.
    ///
    /// # Errors
    /// As [`Source::read`].
    fn seek(&mut self, position: &Position) -> Result<()>;

    /// Where the rows come from.
    fn provenance(&self) -> Provenance;

    /// Where the rows of site `site` come from, of those that it reads at once.
    fn provenance_of(&self, _site: usize) -> Provenance {
        self.provenance()
    }
}

/// Where a stream stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Rows handed out so far, over all passes through the corpus.
    pub rows: u64,
}

/// Where activation rows come from; goes into every SAE trained on them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// Content hash of the model.
    pub model: String,
    /// The site that was read.
    pub site: Site,
    /// Of a transcoder: the site whose output it is to give.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Site>,
    /// The corpus, in its text form.
    pub corpus: String,
    /// Splitting and BOS mode, in words.
    pub rows: String,
    /// Seed of the shuffle.
    pub seed: u64,
}

/// The check that a job's context makes, in the form a [`Source`] takes it.
pub fn check_of<E>(ctx: &JobContext<E>) -> impl Fn() -> Result<()> + '_ {
    || ctx.check()
}
