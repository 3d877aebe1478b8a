//! Two sites side by side, for transcoders.

use super::{Position, Provenance, Source};
use crate::error::{Error, Result};

/// Rows of two sites of the same tokens side by side: first what a transcoder sees, then what it
/// is to give. A row is twice as wide as the sites.
pub struct PairedSource<'a> {
    source: &'a mut dyn Source,
    buffers: [Vec<f32>; 2],
}

impl<'a> PairedSource<'a> {
    /// Of a source that reads two sites: input, then output.
    ///
    /// # Errors
    /// It reads another number of sites, or the same one twice.
    pub fn new(source: &'a mut dyn Source) -> Result<Self> {
        let bad = |why: String| {
            Err(Error::setting(
                "A transcoder cannot be trained on these activations",
                why,
                "Name two different sites: the one it sees, then the one it is to give",
            ))
        };
        if source.sites() != 2 {
            return bad(format!("it stands between two sites, and {} are read", source.sites()));
        }
        if source.provenance_of(0).site == source.provenance_of(1).site {
            return bad(format!("both sites are {}", source.provenance_of(0).site));
        }
        Ok(Self { source, buffers: [Vec::new(), Vec::new()] })
    }
}

impl Source for PairedSource<'_> {
    fn width(&self) -> usize {
        2 * self.source.width()
    }

    fn read(
        &mut self,
        check: &dyn Fn() -> Result<()>,
        rows: usize,
        out: &mut Vec<f32>,
    ) -> Result<()> {
        self.buffers.iter_mut().for_each(Vec::clear);
        let [inputs, targets] = &mut self.buffers;
        self.source.read_sites(check, rows, &mut [inputs, targets])?;
        let width = self.source.width();
        out.reserve(2 * rows * width);
        for (x, y) in inputs.chunks_exact(width).zip(targets.chunks_exact(width)) {
            out.extend_from_slice(x);
            out.extend_from_slice(y);
        }
        Ok(())
    }

    fn position(&self) -> Position {
        self.source.position()
    }

    fn seek(&mut self, position: &Position) -> Result<()> {
        self.source.seek(position)
    }

    fn provenance(&self) -> Provenance {
        let target = Some(self.source.provenance_of(1).site);
        Provenance { target, ..self.source.provenance_of(0) }
    }
}
