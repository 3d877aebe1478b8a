//! The collection job: one pass over a corpus, what is to be known of every latent.

use super::batch::Batch;
use super::checkpoint::{self, Identity};
use super::collector::{Collector, Place};
use super::file::{self, VERSION};
use super::spool::Spool;
use super::{CollectSpec, FeatureAbout, FeatureTable};
use crate::activations::tensor_file::to_u32s;
use crate::activations::{Group, check_of, gather, groups, site_output};
use crate::corpus::{Row, encoder_of};
use crate::error::{Error, IoContext as _, Result};
use crate::evaluation::{Sample, check_memory, site_of};
use crate::jobs::JobContext;
use crate::llama::{Logits, Model};
use crate::sae::Sae;
use std::fs::{self, File, TryLockError};
use std::io::{BufReader, Read as _};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// How often a checkpoint is written.
const CHECKPOINT: Duration = Duration::from_secs(60);

/// Collects what is to be known of every latent of `sae`, and leaves it in the file `out`, which
/// [`super::FeatureFile`] reads.
///
/// Memory does not grow with the text. The outcome is a function of its arguments alone. What is
/// needed to go on lies in a folder beside `out` while the collection runs; if it was stopped, or
/// killed, the next one with the same arguments goes on from there, to the same bytes.
///
/// # Errors
/// A dictionary that does not fit (see [`crate::evaluation::site_of`]), text that cannot be read,
/// a NaN, too little memory, a file that cannot be written, another program that collects into the
/// same file, cancelled.
pub fn collect<E>(
    ctx: &JobContext<E>,
    model: &Model,
    sae: &Sae,
    spec: &CollectSpec,
    out: &Path,
) -> Result<FeatureTable> {
    let mut last = Instant::now();
    let due = |_: &Place| {
        let due = last.elapsed() >= CHECKPOINT;
        if due {
            last = Instant::now();
        }
        Ok(due)
    };
    collect_with(ctx, model, sae, spec, out, due)
}

/// As [`collect`]; `due` is asked after each forward pass whether to write a checkpoint.
pub(super) fn collect_with<E>(
    ctx: &JobContext<E>,
    model: &Model,
    sae: &Sae,
    spec: &CollectSpec,
    out: &Path,
    mut due: impl FnMut(&Place) -> Result<bool>,
) -> Result<FeatureTable> {
    spec.check()?;
    let site = site_of(model, sae, spec.site, spec.allow_foreign)?;
    let tokenizer = model.need_tokenizer()?;
    encoder_of(model)?;
    let kept = memory(sae.latents(), spec);
    check_memory(model, "collect features", spec.batch, spec.rows.length, Logits::None, kept)?;
    let check = check_of(ctx);
    let folder = folder_of(out);
    fs::create_dir_all(&folder).doing(|| format!("Could not make {}", folder.display()))?;
    let lock = lock(&folder, &check)?;
    let identity = Identity::new(spec, model.hash(), &sae.hash(), sae.latents());
    let open = || Sample::open(model, &spec.corpus, spec.rows, spec.tokens, 0, spec.seed);
    let mut sample = open()?;
    let mut collector = Collector::new(sae.latents());
    let mut at_hand = None;
    if let Some(stopped) = checkpoint::read(&folder, &identity) {
        ctx.progress().stage("Finding the place in the text", "", 0, 0);
        match passed_over(&mut sample, &folder, spec, &stopped.place, &check)? {
            Some(rows) => (collector, at_hand) = (stopped, Some(rows)),
            None => {
                ctx.log("The text has changed since the collection was stopped: it begins anew");
                sample = open()?;
            }
        }
    }
    let mut spool = Spool::open(&folder, collector.place.before)?;
    let mut batch = Batch::default();
    ctx.progress().stage("Collecting features", "tokens", collector.place.tokens, spec.tokens);
    let passed = (|| -> Result<()> {
        let mut next = match at_hand.take() {
            Some(rows) => rows,
            None => sample.next(spec.batch, &check)?,
        };
        while let Some(rows) = next {
            let first = collector.place.before.rows as u32;
            rows.iter().try_for_each(|row| spool.push(row))?;
            let groups = groups(&rows, spec.batch);
            let mut work = || -> Result<()> {
                for members in &groups[collector.place.groups.min(groups.len())..] {
                    check()?;
                    let group = Group::new(&rows, members)?;
                    let pass = group.forward(model, Some(site), &[], Logits::None, &check)?;
                    let x = gather(&site_output(&pass, site)?, sae.width(), &group.used(), site)?;
                    let active = sae.encode(&x)?;
                    let numbered = members.iter().map(|i| (first + *i as u32, &rows[*i]));
                    collector.see(spec, &mut batch, numbered, &active);
                    ctx.progress().add(batch.tokens.len() as u64);
                    if due(&collector.place)? {
                        spool.flush(true)?;
                        checkpoint::write(&folder, &identity, &collector)?;
                    }
                }
                Ok(())
            };
            // The text is read ahead while the model works on what was read before.
            let (done, ahead) = thread::scope(|scope| {
                let ahead = scope.spawn(|| sample.next(spec.batch, &check));
                (work(), ahead.join())
            });
            done?;
            collector.place.before = spool.extent();
            collector.place.groups = 0;
            next = ahead.unwrap_or_else(|panic| resume_unwind(panic))?;
        }
        Ok(())
    })();
    if let Err(error) = passed {
        // Asked to stop, it keeps what it has.
        if error.is_cancelled() && collector.place.tokens > 0 {
            spool.flush(true)?;
            checkpoint::write(&folder, &identity, &collector)?;
        }
        return Err(error);
    }
    ctx.progress().stage("Writing features", "", 0, 0);
    let extent = spool.flush(false)?;
    let tokens = collector.place.tokens;
    let (latents, coactive_tokens) = collector.finish(spec);
    let about = FeatureAbout {
        version: VERSION,
        spec: spec.clone(),
        site,
        model: identity.model,
        sae: identity.sae,
        tokens,
        rows: extent.rows,
        coactive_tokens,
    };
    let texts: Vec<&str> =
        (0..model.config().vocab as u32).map(|id| tokenizer.token_text(id)).collect();
    let table = file::write(out, &about, latents, &folder, extent, &texts, &check)?;
    drop(lock);
    spool.remove()?;
    Ok(table)
}

/// Reads `sample` up to the place and gives the rows at hand there (`None` at the end of the text);
/// nothing if the rows are not those that were looked at.
fn passed_over(
    sample: &mut Sample,
    folder: &Path,
    spec: &CollectSpec,
    place: &Place,
    check: &dyn Fn() -> Result<()>,
) -> Result<Option<Option<Vec<Row>>>> {
    let Ok(file) = File::open(folder.join("tokens")) else { return Ok(None) };
    let mut file = BufReader::with_capacity(1 << 18, file);
    let mut bytes = Vec::new();
    let mut same = |rows: &[Row]| {
        rows.iter().all(|row| {
            bytes.resize(row.len() * 4, 0);
            file.read_exact(&mut bytes).is_ok() && to_u32s(&bytes) == row.tokens
        })
    };
    let mut passed = 0;
    while passed < place.before.rows {
        match sample.next(spec.batch, check)? {
            Some(rows) if same(&rows) => passed += rows.len() as u64,
            _ => return Ok(None),
        }
    }
    let at_hand = sample.next(spec.batch, check)?;
    let looked_at = at_hand.as_deref().filter(|_| place.groups > 0);
    let fits = passed == place.before.rows && looked_at.is_none_or(same);
    Ok((fits && (place.groups == 0 || at_hand.is_some())).then_some(at_hand))
}

/// Holds the folder for this collection alone; waits a little for one that is being stopped.
fn lock(folder: &Path, check: &dyn Fn() -> Result<()>) -> Result<File> {
    let path = folder.join("lock");
    let what = || format!("Could not write {}", path.display());
    let file = File::create(&path).doing(what)?;
    let since = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if since.elapsed() < Duration::from_secs(20) => {
                check()?;
                thread::sleep(Duration::from_millis(50));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(Error::setting(
                    "These features are being collected already",
                    format!("another collection holds {}", folder.display()),
                    "Wait for it, or stop it",
                ));
            }
            Err(TryLockError::Error(error)) => return Err(Error::io(what(), &error)),
        }
    }
}

/// Whether features were collected of this dictionary, with this model, as `spec` says.
pub fn fits(about: &FeatureAbout, model: &Model, sae: &Sae, spec: &CollectSpec) -> bool {
    about.spec == *spec && about.model == model.hash() && about.sae == sae.hash()
}

/// Where a collection into `out` keeps what it needs to go on.
fn folder_of(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(".collecting");
    out.with_file_name(name)
}

/// Bytes that what is kept of `latents` latents may take.
pub fn memory(latents: usize, spec: &CollectSpec) -> u64 {
    let longest = spec.window.min(spec.rows.length) as u64;
    let stretch = |tokens: u64| 48 + tokens.saturating_mul(6);
    let contexts = (spec.contexts_per_latent as u64).saturating_add(spec.drawn() as u64);
    let sentences = (spec.sentences_per_latent as u64).saturating_mul(3);
    let texts = contexts
        .saturating_mul(stretch(longest))
        .saturating_add(sentences.saturating_mul(stretch(spec.rows.length as u64)));
    (latents as u64).saturating_mul(texts.saturating_add(3000))
}
