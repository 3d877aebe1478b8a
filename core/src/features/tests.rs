//! Collection against brute force: everything kept, sorted and counted the slow way.

use super::collect::collect_with;
use super::collector::Place;
use super::latent::lot;
use super::*;
use crate::activations::read_rows;
use crate::activations::testing::{text_file, tiny_model, tiny_sae};
use crate::corpus::{Bos, CorpusSpec, Row, RowSpec, Split};
use crate::error::{Error, ErrorKind};
use crate::evaluation::Sample;
use crate::jobs::JobContext;
use crate::llama::{Model, Site};
use crate::sae::Sae;
use std::cmp::Reverse;
use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;

const SITE: Site = Site::Resid(0);

fn spec(dir: &Path, split: Split, bos: Bos) -> CollectSpec {
    let corpus = CorpusSpec::File(text_file(dir, 50));
    let rows = RowSpec { split, bos, length: 16 };
    CollectSpec {
        site: Some(SITE),
        tokens: 600,
        contexts_per_latent: 4,
        contexts_per_fifth: 2,
        sentences_per_latent: 3,
        coactive_per_latent: 4,
        window: 5,
        batch: 100,
        ..CollectSpec::new(corpus, rows)
    }
}

fn run(model: &Model, sae: &Sae, spec: &CollectSpec, out: &Path) -> (FeatureTable, FeatureFile) {
    let table = collect(&JobContext::<()>::unwatched(), model, sae, spec, out).unwrap();
    (table, FeatureFile::open(out).unwrap())
}

/// Every activation of the sample.
struct Oracle {
    spec: CollectSpec,
    rows: Vec<Row>,
    /// For each row each token's activations, all of them; none where it is not used.
    dense: Vec<Vec<Option<Vec<f32>>>>,
    latents: usize,
    texts: Vec<String>,
}

impl Oracle {
    /// The rows go through the model in the company that they have in the collection, since rows
    /// that begin alike tie but for the last bits; that company changes nothing more is shown
    /// where the rows are read.
    fn new(model: &Model, sae: &Sae, spec: &CollectSpec) -> Self {
        let (corpus, seed) = (&spec.corpus, spec.seed);
        let mut sample = Sample::open(model, corpus, spec.rows, spec.tokens, 0, seed).unwrap();
        let (mut all, mut dense) = (Vec::new(), Vec::new());
        while let Some(rows) = sample.next(spec.batch, &|| Ok(())).unwrap() {
            let x = read_rows(model, SITE, &rows, spec.batch, &|| Ok(())).unwrap();
            let mut each = x.chunks(16);
            for row in rows {
                let activations = row
                    .used
                    .iter()
                    .map(|used| used.then(|| sae.encode(each.next().unwrap()).unwrap().to_dense()));
                dense.push(activations.collect());
                all.push(row);
            }
        }
        let text = |id| model.tokenizer().unwrap().token_text(id).to_owned();
        let texts = (0..43).map(text).collect();
        Self { spec: spec.clone(), rows: all, dense, latents: sae.latents(), texts }
    }

    fn tokens(&self) -> usize {
        self.rows.iter().map(Row::used_tokens).sum()
    }

    fn at(&self, latent: usize, row: usize, i: usize) -> f32 {
        self.dense[row][i].as_ref().map_or(0.0, |d| d[latent])
    }

    /// Every firing: row, token, activation.
    fn firings(&self, latent: usize) -> Vec<(usize, usize, f32)> {
        let all = (0..self.rows.len()).flat_map(|r| (0..self.rows[r].len()).map(move |i| (r, i)));
        all.map(|(r, i)| (r, i, self.at(latent, r, i))).filter(|f| f.2 > 0.0).collect()
    }

    /// The stretches of used tokens of one document in a row.
    fn sentences(&self, row: usize) -> Vec<Range<usize>> {
        let r = &self.rows[row];
        let whole =
            |s: &Range<usize>| s.clone().all(|i| r.used[i] && r.document[i] == r.document[s.start]);
        let joins = |i: usize, j: usize| j < r.len() && whole(&(i..j + 1));
        let starts = (0..r.len()).filter(|i| r.used[*i] && (*i == 0 || !joins(i - 1, *i)));
        starts
            .map(|start| start..(start + 1..=r.len()).rfind(|end| whole(&(start..*end))).unwrap())
            .collect()
    }

    fn context(&self, latent: usize, row: usize, span: Range<usize>, peak: usize) -> Context {
        let r = &self.rows[row];
        Context {
            row: row as u64,
            first: span.start,
            document: r.document[span.start],
            start: r.position[span.start],
            ids: r.tokens[span.clone()].to_vec(),
            tokens: span.clone().map(|i| self.texts[r.tokens[i] as usize].clone()).collect(),
            activations: span.clone().map(|i| self.at(latent, row, i)).collect(),
            peak: peak - span.start,
        }
    }

    /// The context around a token: of all spans of the greatest length within its sentence the one
    /// with the token nearest its middle.
    fn around(&self, latent: usize, row: usize, at: usize) -> Context {
        let sentence = self.sentences(row).into_iter().find(|s| s.contains(&at)).unwrap();
        let spans = sentence.clone().flat_map(|a| (a + 1..=sentence.end).map(move |b| a..b));
        let span = spans
            .filter(|s| s.len() <= self.spec.window && s.contains(&at))
            .max_by_key(|s| (s.len(), -((at - s.start) as i64 - 2).abs()))
            .unwrap();
        self.context(latent, row, span, at)
    }

    fn top(&self, latent: usize) -> Vec<Context> {
        let mut best: Vec<(f32, usize, usize)> = Vec::new();
        for (r, i, v) in self.firings(latent) {
            match best.last_mut() {
                Some(last) if last.1 == r => {
                    if v > last.0 {
                        *last = (v, r, i);
                    }
                }
                _ => best.push((v, r, i)),
            }
        }
        best.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        best.truncate(self.spec.contexts_per_latent);
        best.iter().map(|(_, r, i)| self.around(latent, *r, *i)).collect()
    }

    /// The firings drawn, those with the smallest lots first.
    fn drawn(&self, latent: usize) -> Vec<(usize, usize, f32)> {
        let mut all = self.firings(latent);
        all.sort_by_key(|(r, i, _)| lot(self.spec.seed, latent as u32, *r as u32, *i as u32));
        all.truncate(8 * self.spec.contexts_per_fifth);
        all
    }

    fn quantile(&self, latent: usize, q: f64) -> f32 {
        let mut values: Vec<f32> = self.firings(latent).iter().map(|f| f.2).collect();
        values.sort_by(f32::total_cmp);
        let rank = (q * values.len() as f64).ceil().max(1.0) as usize;
        values.get(rank - 1).copied().unwrap_or(0.0)
    }

    fn sentence_scores(&self, latent: usize, score: impl Fn(&[f32]) -> f32) -> Vec<RankedSentence> {
        let all =
            (0..self.rows.len()).flat_map(|r| self.sentences(r).into_iter().map(move |s| (r, s)));
        let mut scored: Vec<(f32, usize, Range<usize>)> = all
            .map(|(r, s)| {
                let values: Vec<f32> = s.clone().map(|i| self.at(latent, r, i)).collect();
                (score(&values), r, s)
            })
            .filter(|s| s.0 > 0.0)
            .collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        scored.truncate(self.spec.sentences_per_latent);
        scored
            .into_iter()
            .map(|(score, r, s)| {
                let peak = s.clone().min_by(|a, b| {
                    self.at(latent, r, *b).total_cmp(&self.at(latent, r, *a)).then(a.cmp(b))
                });
                RankedSentence { score, context: self.context(latent, r, s, peak.unwrap()) }
            })
            .collect()
    }

    /// Holds what was collected against everything.
    fn check(&self, table: &FeatureTable, file: &mut FeatureFile) {
        let tokens = self.tokens() as u64;
        assert_eq!((table.tokens, &table.corpus), (tokens, &self.spec.corpus.to_string()));
        assert_eq!(table.latents.len(), self.latents);
        assert_eq!(file.about().rows, self.rows.len() as u64);
        for (r, row) in self.rows.iter().enumerate() {
            assert_eq!(file.row(r as u64).unwrap(), *row);
        }
        for (l, summary) in table.latents.iter().enumerate() {
            self.check_summary(l, summary);
            self.check_detail(l, &file.detail(l).unwrap(), summary.fired);
        }
    }

    fn check_summary(&self, l: usize, got: &LatentSummary) {
        let values: Vec<f32> = self.firings(l).iter().map(|f| f.2).collect();
        let n = values.len();
        assert_eq!((got.index, got.fired), (l as u32, n as u64));
        assert!((f64::from(got.density) - n as f64 / self.tokens() as f64).abs() < 1e-7);
        let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / n.max(1) as f64;
        assert!((f64::from(got.mean) - mean).abs() <= 1e-6 * mean);
        assert_eq!(got.max, values.iter().copied().fold(0.0, f32::max));
        for (q, got) in QUANTILES.iter().zip(got.quantiles) {
            let want = self.quantile(l, *q);
            let bound = if n <= EXACT_VALUES { 0.0 } else { f64::from(want) * QUANTILE_ERROR };
            assert!(f64::from((got - want).abs()) <= bound, "{got} {want} of {n}");
        }
        let histogram = &got.histogram;
        assert_eq!(histogram.counts.iter().sum::<u32>(), n as u32);
        for (i, count) in histogram.counts.iter().enumerate() {
            let bin = |v: &&f32| (**v / histogram.width) as usize == i;
            assert_eq!(*count, values.iter().filter(bin).count() as u32);
        }
    }

    fn check_detail(&self, l: usize, got: &LatentDetail, fired: u64) {
        assert_eq!(got.latent, l as u32);
        assert_eq!(got.top(), self.top(l));
        let drawn = self.drawn(l);
        let exact = fired <= EXACT_VALUES as u64;
        let mut found = 0;
        for group in &got.groups {
            let GroupKind::Quantile { from, to, low, high } = group.kind else { continue };
            assert!((to - from - 0.2).abs() < 1e-6);
            if exact {
                let bound = |q: f32| match q {
                    0.0 => self.firings(l).iter().map(|f| f.2).fold(f32::MAX, f32::min),
                    q => self.quantile(l, (f64::from(q) * 5.0).round() / 5.0),
                };
                assert_eq!((low, high), (bound(from), bound(to)));
            }
            let inside = |v: f32| (v > low || from == 0.0 && v == low) && v <= high;
            let mut want: Vec<_> = drawn.iter().filter(|f| inside(f.2)).collect();
            found += want.len();
            want.truncate(self.spec.contexts_per_fifth);
            want.sort_by_key(|f| Reverse(f.2.to_bits()));
            let want: Vec<Context> = want.iter().map(|f| self.around(l, f.0, f.1)).collect();
            let place = |c: &Context| (c.row, c.first + c.peak, c.clone().activations[c.peak]);
            let mut got: Vec<_> =
                group.contexts.iter().map(|c| (Reverse(place(c).2.to_bits()), c.clone())).collect();
            got.sort_by_key(|(value, c)| (*value, c.row, c.first + c.peak));
            let mut want: Vec<_> =
                want.iter().map(|c| (Reverse(place(c).2.to_bits()), c.clone())).collect();
            want.sort_by_key(|(value, c)| (*value, c.row, c.first + c.peak));
            assert_eq!(got, want);
        }
        assert_eq!(found, drawn.len(), "every firing that was drawn belongs to one group");
        assert_eq!(got.coactive_tokens, self.tokens() as u64);
        assert_eq!(got.coactive_fired, fired);
        let places = |l: usize| -> HashSet<(usize, usize)> {
            self.firings(l).iter().map(|f| (f.0, f.1)).collect()
        };
        let mine = places(l);
        let mut shares: Vec<f32> = Vec::new();
        for other in (0..self.latents).filter(|other| *other != l) {
            let others = places(other);
            let both = mine.intersection(&others).count();
            let share = both as f64 / mine.union(&others).count().max(1) as f64;
            if both >= 2 {
                shares.push(share as f32);
            }
            if let Some(found) = got.coactive.iter().find(|c| c.latent as usize == other) {
                assert_eq!((found.both as usize, found.jaccard), (both, share as f32));
            }
        }
        shares.sort_by(|a, b| b.total_cmp(a));
        shares.truncate(self.spec.coactive_per_latent);
        assert_eq!(got.coactive.iter().map(|c| c.jaccard).collect::<Vec<_>>(), shares);
        let sum = |v: &[f32]| v.iter().map(|v| f64::from(*v)).sum::<f64>();
        let mean = self.sentence_scores(l, |v| (sum(v) / v.len() as f64) as f32);
        assert_eq!(got.sentences.by_mean, mean);
        assert_eq!(got.sentences.by_last, self.sentence_scores(l, |v| v[v.len() - 1]));
        let max = self.sentence_scores(l, |v| v.iter().copied().fold(0.0, f32::max));
        assert_eq!(got.sentences.by_max, max);
    }
}

#[test]
fn everything_is_as_brute_force_finds_it() {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny_model();
    let out = dir.path().join("f.safetensors");
    for (split, bos, latents) in [
        (Split::Sentences, Bos::Drop, 24),
        (Split::Packed, Bos::Keep, 24),
        (Split::Packed, Bos::None, 12),
        (Split::Packed, Bos::Drop, 300),
    ] {
        let (sae, spec) = (tiny_sae(&[16, latents]), spec(dir.path(), split, bos));
        let (table, mut file) = run(&model, &sae, &spec, &out);
        Oracle::new(&model, &sae, &spec).check(&table, &mut file);
        assert_eq!(file.table().unwrap(), table);
        assert!(fits(file.about(), &model, &sae, &spec));
        let bytes = std::fs::read(&out).unwrap();
        run(&model, &sae, &spec, &out);
        assert_eq!(bytes, std::fs::read(&out).unwrap());
        match latents {
            12 => assert!(table.latents.iter().any(|l| l.fired > EXACT_VALUES as u64)),
            300 => assert!(table.latents.iter().any(|l| l.fired == 0)),
            _ => {}
        }
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "text and features, no more");
}

#[test]
fn a_latent_that_never_fires_has_an_empty_detail() {
    let dir = tempfile::tempdir().unwrap();
    let (model, sae) = (tiny_model(), tiny_sae(&[16, 300]));
    let spec = CollectSpec { tokens: 40, ..spec(dir.path(), Split::Sentences, Bos::Drop) };
    let (table, mut file) = run(&model, &sae, &spec, &dir.path().join("f"));
    let silent = table.latents.iter().find(|l| l.fired == 0).unwrap();
    assert_eq!(*silent, LatentSummary { index: silent.index, ..LatentSummary::default() });
    let detail = file.detail(silent.index as usize).unwrap();
    assert_eq!((detail.groups.len(), detail.coactive.len()), (0, 0));
    assert_eq!(detail.sentences, BestSentences::default());
    assert!(file.detail(300).is_err());
    assert!(file.row(u64::MAX).is_err());
}

/// Stopped by a kill, after a checkpoint or before one, or by a person, and gone on with: the same
/// bytes as without.
#[test]
fn a_collection_that_goes_on_gives_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let (model, sae) = (tiny_model(), tiny_sae(&[16, 24]));
    let spec = CollectSpec { tokens: 3000, ..spec(dir.path(), Split::Packed, Bos::Keep) };
    text_file(dir.path(), 160);
    let (plain, out) = (dir.path().join("plain"), dir.path().join("out"));
    run(&model, &sae, &spec, &plain);
    let whole = std::fs::read(&plain).unwrap();
    let ctx = JobContext::<()>::unwatched();
    let killed = || Error::internal("killed", "");
    // The checkpoint is written after group `kept`, the end comes after group `end`.
    let stop = |ctx: &JobContext<()>, kept: usize, end: usize, cancel: bool| {
        let mut done = 0;
        let due = |_: &Place| {
            done += 1;
            if done == end {
                if !cancel {
                    return Err(killed());
                }
                ctx.cancel("test");
            }
            Ok(done == kept)
        };
        collect_with(ctx, &model, &sae, &spec, &out, due).unwrap_err()
    };
    for (kept, end) in [(1, 4), (9, 9), (8, 13), (3, 3), (0, 2)] {
        assert!(!stop(&ctx, kept, end, false).is_cancelled());
    }
    assert!(stop(&JobContext::unwatched(), 0, 5, true).is_cancelled());
    let mut left = 0;
    let count = |_: &Place| {
        left += 1;
        Ok(false)
    };
    collect_with(&ctx, &model, &sae, &spec, &out, count).unwrap();
    assert!(left < 20, "{left} groups were left: it did not begin anew");
    assert!(whole == std::fs::read(&out).unwrap());
    // What was kept is of no use for other settings, another text, or damaged.
    for change in 0..3 {
        stop(&ctx, 9, 10, false);
        let mut spec = spec.clone();
        match change {
            0 => spec.window = 6,
            1 => {
                let text = std::fs::read_to_string(dir.path().join("text.txt")).unwrap();
                std::fs::write(dir.path().join("text.txt"), text.replacen("w1", "w2", 1)).unwrap();
            }
            _ => {
                let path = dir.path().join("out.collecting").join("checkpoint.safetensors");
                let bytes = std::fs::read(&path).unwrap();
                std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
            }
        }
        run(&model, &sae, &spec, &plain);
        run(&model, &sae, &spec, &out);
        assert!(std::fs::read(&plain).unwrap() == std::fs::read(&out).unwrap(), "{change}");
    }
}

#[test]
fn the_features_of_65536_latents_open_without_their_contexts() {
    let dir = tempfile::tempdir().unwrap();
    let (model, sae) = (tiny_model(), tiny_sae(&[16, 65_536]));
    let spec = CollectSpec { tokens: 300, ..spec(dir.path(), Split::Packed, Bos::Drop) };
    let path = dir.path().join("f");
    let (table, mut file) = run(&model, &sae, &spec, &path);
    assert!(file.bytes_read() < 2000, "to open it says what it is and no more");
    assert_eq!(file.table().unwrap(), table);
    let bins: usize = table.latents.iter().map(|l| l.histogram.counts.len()).sum();
    let a_latent = 4 + 8 + 4 + 4 + 4 + 7 * 4 + 4 + 8;
    let after_table = file.bytes_read();
    assert!(after_table < 2000 + 65_536 * a_latent + 4 * bins as u64 + 8);
    let busy = table.latents.iter().max_by_key(|l| l.fired).unwrap();
    let detail = file.detail(busy.index as usize).unwrap();
    assert_eq!(detail.top()[0].activations[detail.top()[0].peak], busy.max);
    assert!(file.bytes_read() - after_table < 20_000, "a detail is a few short reads");
}

#[test]
fn a_text_shorter_than_was_asked_for_is_read_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let (model, sae) = (tiny_model(), tiny_sae(&[16, 24]));
    let spec = CollectSpec { tokens: 1_000_000, ..spec(dir.path(), Split::Packed, Bos::Drop) };
    let (table, mut file) = run(&model, &sae, &spec, &dir.path().join("f"));
    assert!(table.tokens > 600 && table.tokens < 10_000);
    Oracle::new(&model, &sae, &spec).check(&table, &mut file);
}

/// Of 100 firings 10 are drawn under each of 2,000 seeds: each firing about as often.
#[test]
fn lots_are_fair() {
    let mut times = [0u32; 100];
    for seed in 0..2000 {
        let mut firings: Vec<u32> = (0..100).collect();
        firings.sort_by_key(|i| lot(seed, 5, i / 7, i % 7));
        firings[..10].iter().for_each(|i| times[*i as usize] += 1);
    }
    let expected = 200.0;
    let chi: f64 = times.iter().map(|n| (f64::from(*n) - expected).powi(2) / expected).sum();
    // Sums over draws without replacement vary by 9/10 of what the multinomial does: mean 89,
    // deviation 12.7.
    assert!((89.0 - 51.0..89.0 + 51.0).contains(&chi), "{chi}");
}

#[test]
fn damaged_files_are_refused_or_read_but_never_panic() {
    let dir = tempfile::tempdir().unwrap();
    let (model, sae) = (tiny_model(), tiny_sae(&[16, 6]));
    let spec = CollectSpec {
        tokens: 20,
        contexts_per_latent: 1,
        contexts_per_fifth: 1,
        sentences_per_latent: 1,
        ..spec(dir.path(), Split::Packed, Bos::Keep)
    };
    let path = dir.path().join("features.safetensors");
    run(&model, &sae, &spec, &path);
    let whole = std::fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(3) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x41;
        std::fs::write(&path, &bytes).unwrap();
        if let Ok(mut file) = FeatureFile::open(&path) {
            let _ = file.table();
            for i in 0..6 {
                let _ = file.detail(i);
            }
        }
        std::fs::write(&path, &whole[..at]).unwrap();
        assert!(FeatureFile::open(&path).is_err(), "cut at {at}");
    }
}

#[test]
fn features_of_the_old_layout_are_refused_with_a_remedy() {
    use crate::activations::tensor_file::{Column, write};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("features.safetensors");
    write(&path, &[Column::u8("corpus", b"x".to_vec()), Column::u64("first_context", [0])])
        .unwrap();
    let error = FeatureFile::open(&path).unwrap_err();
    assert!(error.to_string().contains("older version"), "{error}");
    assert_eq!(error.remedy, "Collect again");
}

#[test]
fn what_cannot_be_collected_is_refused_with_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let (model, sae) = (tiny_model(), tiny_sae(&[16, 24]));
    let ctx = JobContext::<()>::unwatched();
    let out = dir.path().join("f");
    let good = spec(dir.path(), Split::Sentences, Bos::Drop);
    let kind = |spec: CollectSpec| collect(&ctx, &model, &sae, &spec, &out).unwrap_err().kind;
    assert_eq!(
        kind(CollectSpec { contexts_per_latent: 1 << 40, ..good.clone() }),
        ErrorKind::Memory
    );
    assert_eq!(kind(CollectSpec { window: 0, ..good.clone() }), ErrorKind::Setting);
    assert_eq!(kind(CollectSpec { tokens: 1 << 40, ..good.clone() }), ErrorKind::Setting);
    ctx.cancel("test");
    assert!(collect(&ctx, &model, &sae, &good, &out).unwrap_err().is_cancelled());
}
