//! Activations straight from a model.

use super::blocks::{Block, Blocks};
use super::{Columns, Position, Provenance, Source, StreamSpec};
use crate::error::{Error, Result};
use crate::llama::{Logits, Model, Site, memory};

/// An endless stream straight from a model, shuffled within blocks of [`StreamSpec::buffer`]
/// rows; each pass over the corpus is shuffled differently.
///
/// Going to a position runs the model for one block at most; what lies before is only tokenised.
pub struct LiveSource {
    blocks: Blocks,
    block: Option<Block>,
    /// Row of the stream that the block begins with.
    start: u64,
    /// Rows of the block that were handed out or left out.
    done: usize,
    /// Where to go before the next row is read.
    target: Option<u64>,
    /// Rows of one pass over the corpus, once known.
    pass_rows: Option<u64>,
    seen: Seen,
}

/// What was found of outliers in the rows handed out since the source was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Seen {
    /// Rows looked at.
    pub rows: u64,
    /// Those of outlier norm among them.
    pub outliers: u64,
    /// The median norm that they are measured by; 0 before the first row.
    pub median: f32,
}

impl LiveSource {
    /// A stream at its beginning. The model runs at the first row that is read.
    ///
    /// # Errors
    /// A site or a length that the model does not have, a corpus that cannot be opened, a model
    /// without tokenizer, a buffer that does not fit into memory.
    pub fn new(model: Model, spec: StreamSpec) -> Result<Self> {
        let sites = [spec.site];
        Self::several(model, spec, &sites)
    }

    /// A stream of the same tokens at several sites, read in one pass of the model (see
    /// [`Source::read_sites`]); `spec.site` plays no part. At each site it gives, bit for bit,
    /// the rows of a stream of that site alone.
    ///
    /// # Errors
    /// As [`LiveSource::new`]; no site; outliers that are to be left out, of several sites.
    pub fn several(model: Model, spec: StreamSpec, sites: &[Site]) -> Result<Self> {
        let Some(first) = sites.first() else {
            return Err(Error::setting(
                "Activations cannot be read",
                "no site was named",
                "Choose at least one, for example resid.0",
            ));
        };
        let spec = StreamSpec { site: *first, ..spec };
        let needed = Self::memory_of(&model, &spec, sites);
        memory::check_fits("stream activations", needed, model.device())?;
        let blocks = Blocks::new(model, spec, sites.to_vec())?;
        Ok(Self {
            blocks,
            block: None,
            start: 0,
            done: 0,
            target: None,
            pass_rows: None,
            seen: Seen::default(),
        })
    }

    /// Bytes that such a stream takes: the buffer and one forward pass.
    pub fn memory(model: &Model, spec: &StreamSpec) -> u64 {
        Self::memory_of(model, spec, &[spec.site])
    }

    /// Bytes that a stream of several sites takes.
    pub fn memory_of(model: &Model, spec: &StreamSpec, sites: &[Site]) -> u64 {
        let config = model.config();
        let length = spec.rows.length.max(1);
        let batch = (spec.batch / length).max(1);
        let pass = memory::pass_bytes(config, batch, length, sites, Logits::None, false);
        let row = 4 * (config.width * sites.len()) as u64 + 32;
        let buffered = (spec.buffer + length) as u64;
        pass.saturating_add(buffered.saturating_mul(row))
    }

    /// What was found of outliers so far.
    pub fn seen(&self) -> Seen {
        Seen { median: self.blocks.median().unwrap_or(0.0), ..self.seen }
    }

    /// What was done to the text on the way and ought to be said.
    pub fn note(&self) -> Option<String> {
        self.blocks.note()
    }

    /// Makes sure that there is a block with a row left in it; false if this needs another pass
    /// over the corpus and `once` says that there is to be none.
    fn fill(&mut self, once: bool, check: &dyn Fn() -> Result<()>) -> Result<bool> {
        if let Some(target) = self.target {
            self.go_to(target, check)?;
            self.target = None;
        }
        if self.block.as_ref().is_some_and(|b| self.done < b.order.len()) {
            return Ok(true);
        }
        // The old block makes room before the new one is computed.
        self.start = self.end();
        self.done = 0;
        self.block = None;
        self.block = match self.blocks.next(check)? {
            Some(next) => Some(next),
            None if self.start == 0 => return Err(self.blocks.empty()),
            None if once => return Ok(false),
            None => {
                let pass = self.blocks.pass() + 1;
                self.pass_rows = Some(self.start / pass);
                self.blocks.start_pass(pass)?;
                self.blocks.next(check)?
            }
        };
        Ok(true)
    }

    /// Hands the next rows of the block at hand to `take`, until it has had `most` of them or the
    /// block ends; how many it has had.
    fn hand_out(&mut self, most: usize, mut take: impl FnMut(&Block, usize)) -> usize {
        let Some(block) = &self.block else { return 0 };
        let leave_out = self.blocks.spec().outliers.leave_out;
        let mut taken = 0;
        while taken < most && self.done < block.order.len() {
            let row = block.order[self.done] as usize;
            self.done += 1;
            self.seen.rows += 1;
            self.seen.outliers += u64::from(block.outlier[row]);
            if !(leave_out && block.outlier[row]) {
                take(block, row);
                taken += 1;
            }
        }
        taken
    }

    /// Appends the next `rows` rows of the first pass over the corpus, with all that is known of
    /// them; fewer at its end.
    pub(super) fn read_columns(
        &mut self,
        check: &dyn Fn() -> Result<()>,
        rows: usize,
        out: &mut Columns,
    ) -> Result<()> {
        let width = self.width();
        let mut left = rows;
        while left > 0 && self.fill(true, check)? {
            check()?;
            left -= self.hand_out(left, |block, row| {
                let span = row * width..(row + 1) * width;
                out.activations.extend_from_slice(&block.activations[0][span]);
                out.token.push(block.token[row]);
                out.document.push(block.document[row]);
                out.position.push(block.position[row]);
                out.outlier.push(u8::from(block.outlier[row]));
            });
        }
        Ok(())
    }

    /// Rows of one pass over the corpus, outliers among them, found without running the model.
    /// The stream stands at its beginning afterwards.
    pub(super) fn count_pass(&mut self, check: &dyn Fn() -> Result<()>) -> Result<u64> {
        self.block = None;
        self.blocks.start_pass(0)?;
        let mut rows = 0;
        loop {
            let block = self.blocks.look(check)? as u64;
            if block == 0 {
                break;
            }
            rows += block;
            self.blocks.skip();
        }
        self.seek(&Position::default())?;
        Ok(rows)
    }

    /// Goes to row `target` of the stream.
    fn go_to(&mut self, target: u64, check: &dyn Fn() -> Result<()>) -> Result<()> {
        if self.block.is_some() && (self.start..=self.end()).contains(&target) {
            self.done = (target - self.start) as usize;
            return Ok(());
        }
        self.block = None;
        self.done = 0;
        let mut pass = self.pass_rows.map_or(0, |rows| target / rows);
        self.start = pass * self.pass_rows.unwrap_or(0);
        self.blocks.start_pass(pass)?;
        while self.start < target {
            let rows = self.blocks.look(check)? as u64;
            if rows == 0 && self.start == 0 {
                return Err(self.blocks.empty());
            }
            if rows == 0 {
                // The end of the first pass tells how long each is.
                let all = self.start / (pass + 1);
                self.pass_rows = Some(all);
                pass = target / all;
                self.start = pass * all;
                self.blocks.start_pass(pass)?;
            } else if self.start + rows > target {
                self.block = self.blocks.next(check)?;
                self.done = (target - self.start) as usize;
                return Ok(());
            } else {
                self.blocks.skip();
                self.start += rows;
            }
        }
        Ok(())
    }

    /// Row of the stream after the block.
    fn end(&self) -> u64 {
        self.start + self.block.as_ref().map_or(0, |b| b.order.len() as u64)
    }
}

impl Source for LiveSource {
    fn width(&self) -> usize {
        self.blocks.model().config().width
    }

    fn read(
        &mut self,
        check: &dyn Fn() -> Result<()>,
        rows: usize,
        out: &mut Vec<f32>,
    ) -> Result<()> {
        self.read_sites(check, rows, &mut [out])
    }

    fn sites(&self) -> usize {
        self.blocks.sites().len()
    }

    fn read_sites(
        &mut self,
        check: &dyn Fn() -> Result<()>,
        rows: usize,
        out: &mut [&mut Vec<f32>],
    ) -> Result<()> {
        let width = self.width();
        out.iter_mut().for_each(|out| out.reserve(rows * width));
        let mut left = rows;
        while left > 0 {
            check()?;
            self.fill(false, check)?;
            left -= self.hand_out(left, |block, row| {
                for (x, out) in block.activations.iter().zip(out.iter_mut()) {
                    out.extend_from_slice(&x[row * width..(row + 1) * width]);
                }
            });
        }
        Ok(())
    }

    fn position(&self) -> Position {
        Position { rows: self.target.unwrap_or(self.start + self.done as u64) }
    }

    /// The way there is gone when the next row is read, where the job can be stopped.
    fn seek(&mut self, position: &Position) -> Result<()> {
        self.target = Some(position.rows);
        Ok(())
    }

    fn provenance(&self) -> Provenance {
        self.provenance_of(0)
    }

    fn provenance_of(&self, site: usize) -> Provenance {
        let spec = self.blocks.spec();
        let mut rows = spec.rows.to_string();
        if spec.outliers.leave_out {
            let multiple = spec.outliers.multiple;
            rows += &format!("; tokens over {multiple} times the median norm left out");
        }
        Provenance {
            model: self.blocks.model().hash().to_owned(),
            site: self.blocks.sites().get(site).copied().unwrap_or(spec.site),
            target: None,
            corpus: spec.corpus.to_string(),
            rows,
            seed: spec.seed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activations::testing::{stream, text_file, tiny_model};
    use crate::activations::{Outliers, read_rows};
    use crate::corpus::{Bos, Row, Rows, Split, encoder_of};
    use crate::error::ErrorKind;
    use crate::llama::{Plan, Tokens};
    use std::cell::Cell;

    fn go() -> Result<()> {
        Ok(())
    }

    fn all_rows(model: &Model, spec: &StreamSpec) -> Vec<Row> {
        let documents = spec.corpus.open(0).unwrap();
        let mut rows = Rows::new(documents, encoder_of(model).unwrap(), spec.rows).unwrap();
        let mut all = Vec::new();
        while let Some(row) = rows.next_row().unwrap() {
            all.push(row);
        }
        all
    }

    /// Every used activation of a pass, each row of tokens run by itself.
    fn oracle(model: &Model, spec: &StreamSpec) -> Vec<Vec<f32>> {
        let mut all = Vec::new();
        for row in all_rows(model, spec) {
            let plan = Plan { read: &[spec.site], ..Plan::default() };
            let pass = model.forward(&Tokens::row(&row.tokens).unwrap(), &plan).unwrap();
            let x = pass.sites[&spec.site].flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let used = (0..row.len()).filter(|i| row.used[*i]);
            all.extend(used.map(|i| x[i * 16..(i + 1) * 16].to_vec()));
        }
        all
    }

    fn read(source: &mut LiveSource, rows: usize) -> Vec<f32> {
        let mut out = Vec::new();
        source.read(&go, rows, &mut out).unwrap();
        assert_eq!(out.len(), rows * 16);
        out
    }

    /// Sorted copies, so that two orders of the same rows can be compared.
    fn sorted(mut rows: Vec<Vec<f32>>) -> Vec<Vec<f32>> {
        rows.sort_by(|a, b| a.partial_cmp(b).unwrap());
        rows
    }

    fn split(flat: &[f32]) -> Vec<Vec<f32>> {
        flat.chunks(16).map(<[f32]>::to_vec).collect()
    }

    #[test]
    fn a_pass_gives_every_used_token_once_whatever_its_company() {
        let dir = tempfile::tempdir().unwrap();
        let model = tiny_model();
        for (way, bos) in
            [(Split::Sentences, Bos::Drop), (Split::Packed, Bos::Keep), (Split::Packed, Bos::None)]
        {
            let mut spec = stream(&text_file(dir.path(), 40));
            spec.rows.split = way;
            spec.rows.bos = bos;
            let wanted = sorted(oracle(&model, &spec));
            let mut source = LiveSource::new(model.clone(), spec).unwrap();
            let first = read(&mut source, wanted.len());
            for (got, want) in sorted(split(&first)).iter().zip(&wanted) {
                assert!(
                    got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-4),
                    "{got:?} {want:?}"
                );
            }
            let second = read(&mut source, wanted.len());
            assert_ne!(first, second, "each pass has an order of its own");
            assert_eq!(sorted(split(&first)), sorted(split(&second)));
            assert_eq!(source.position().rows as usize, 2 * wanted.len());
        }
    }

    #[test]
    fn a_seek_gives_the_same_bits_as_reading_on() {
        let dir = tempfile::tempdir().unwrap();
        let spec = stream(&text_file(dir.path(), 30));
        let model = tiny_model();
        let pass = oracle(&model, &spec).len();
        let mut straight = LiveSource::new(model.clone(), spec.clone()).unwrap();
        let stream = read(&mut straight, 3 * pass + 77);
        for at in [0, 1, 49, 50, 51, pass - 1, pass, pass + 1, 2 * pass + 33, 3 * pass] {
            let mut source = LiveSource::new(model.clone(), spec.clone()).unwrap();
            source.seek(&Position { rows: at as u64 }).unwrap();
            assert_eq!(source.position().rows, at as u64);
            let got = read(&mut source, 77);
            assert!(got == stream[at * 16..(at + 77) * 16], "from {at}");
            // And once more from where it now stands.
            source.seek(&Position { rows: 3 }).unwrap();
            assert!(read(&mut source, 10) == stream[48..208], "back to 3 from {at}");
        }
    }

    #[test]
    fn several_sites_give_each_the_bits_that_it_gives_alone() {
        let dir = tempfile::tempdir().unwrap();
        let spec = stream(&text_file(dir.path(), 30));
        let sites = [Site::Resid(1), Site::Mlp(0), Site::Embed, Site::Resid(0)];
        let mut together = LiveSource::several(tiny_model(), spec.clone(), &sites).unwrap();
        assert_eq!(together.sites(), 4);
        let mut read_on = |rows: usize| {
            let mut parts = vec![Vec::new(); 4];
            let mut out: Vec<&mut Vec<f32>> = parts.iter_mut().collect();
            together.read_sites(&go, rows, &mut out).unwrap();
            together.seek(&together.position()).unwrap();
            parts
        };
        let (first, second) = (read_on(77), read_on(300));
        for (i, site) in sites.into_iter().enumerate() {
            let spec = StreamSpec { site, ..spec.clone() };
            let mut alone = LiveSource::new(tiny_model(), spec).unwrap();
            assert!(read(&mut alone, 77) == first[i], "{site}");
            assert!(read(&mut alone, 300) == second[i], "{site}");
            assert_eq!(alone.provenance(), together.provenance_of(i));
        }
    }

    #[test]
    fn a_stopped_read_can_be_taken_up_again() {
        let dir = tempfile::tempdir().unwrap();
        let spec = stream(&text_file(dir.path(), 30));
        let mut straight = LiveSource::new(tiny_model(), spec.clone()).unwrap();
        let wanted = read(&mut straight, 160);
        for stop_at in [0, 3, 7, 20] {
            let mut source = LiveSource::new(tiny_model(), spec.clone()).unwrap();
            let asked = Cell::new(0);
            let stop = || {
                asked.set(asked.get() + 1);
                if asked.get() > stop_at { Err(Error::cancelled("test")) } else { Ok(()) }
            };
            let error = source.read(&stop, 160, &mut Vec::new()).unwrap_err();
            assert!(error.is_cancelled());
            source.seek(&Position { rows: 0 }).unwrap();
            assert!(read(&mut source, 160) == wanted, "stopped after {stop_at}");
        }
    }

    #[test]
    fn outliers_are_counted_or_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let mut spec = stream(&text_file(dir.path(), 30));
        spec.outliers = Outliers { multiple: 1.2, leave_out: false };
        let model = tiny_model();
        let all = oracle(&model, &spec);
        let norm = |row: &[f32]| row.iter().map(|v| v * v).sum::<f32>().sqrt();
        let mut norms: Vec<f32> = all.iter().map(|r| norm(r)).collect();
        norms.sort_by(f32::total_cmp);
        let limit = 1.2 * norms[norms.len() / 2];
        let kept: Vec<_> = all.iter().filter(|r| norm(r) <= limit).cloned().collect();
        assert!(kept.len() < all.len() && kept.len() > all.len() / 2);

        let mut counting = LiveSource::new(model.clone(), spec.clone()).unwrap();
        read(&mut counting, all.len());
        assert_eq!(counting.seen().outliers as usize, all.len() - kept.len());

        spec.outliers.leave_out = true;
        let mut source = LiveSource::new(model, spec).unwrap();
        let got = sorted(split(&read(&mut source, kept.len())));
        for (a, b) in got.iter().flatten().zip(sorted(kept).iter().flatten()) {
            assert!((a - b).abs() < 1e-4);
        }
        assert!(source.provenance().rows.contains("left out"));
    }

    #[test]
    fn what_cannot_be_streamed_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let spec = stream(&text_file(dir.path(), 3));
        let open = |spec: StreamSpec| LiveSource::new(tiny_model(), spec).err().unwrap();
        let mut wrong = spec.clone();
        wrong.site = Site::Resid(2);
        assert!(open(wrong).to_string().contains("resid.2"));
        let mut wrong = spec.clone();
        wrong.rows.length = 65;
        assert!(open(wrong).to_string().contains("64"));
        let mut wrong = spec.clone();
        wrong.outliers.leave_out = true;
        let both = [Site::Resid(0), Site::Resid(1)];
        let several = |spec, sites: &[Site]| LiveSource::several(tiny_model(), spec, sites).err();
        assert!(several(wrong, &both).unwrap().to_string().contains("several sites"));
        assert!(several(spec.clone(), &[]).unwrap().why.contains("no site"));
        let mut wrong = spec.clone();
        wrong.buffer = 1 << 50;
        assert_eq!(open(wrong).kind, ErrorKind::Memory);
    }

    #[test]
    fn activations_that_are_no_numbers_are_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let spec = stream(&text_file(dir.path(), 3));
        let model = tiny_model();
        let mut weights = model.weights().unwrap();
        let name = "model.layers.0.mlp.down_proj.weight";
        let broken = (weights[name].ones_like().unwrap() * f64::NAN).unwrap();
        weights.insert(name.to_owned(), broken);
        let config = model.config().clone();
        let broken = Model::from_weights(config, &weights, None).unwrap();
        let rows = all_rows(&model, &spec);
        let error = read_rows(&broken, spec.site, &rows, 64, &go).unwrap_err();
        assert!(error.kind == ErrorKind::Numeric && error.what.contains("resid.0"), "{error}");
    }
}
