//! Streams of text, written in step.

use super::outcome::{
    Bounded, End, PromptRead, SteerEvent, SteerOutcome, Stream, StreamOutcome, Written,
};
use super::sampler::Sampler;
use super::spec::SteerSpec;
use crate::edits::{Dictionaries, Edits, Reconstruct};
use crate::error::{Error, ErrorKind, Result};
use crate::jobs::JobContext;
use crate::llama::{Cache, Change, Logits, Model, Plan, Site, Tokens, log_probability};
use candle_core::DType;
use std::time::{Duration, Instant};

/// How often written tokens are told.
const TELL: Duration = Duration::from_millis(50);

/// Writes the streams that `spec` asks for, token by token in step, all from one prompt and each
/// with the sampler's seed: without a difference between their models they are the same, bit for
/// bit. Being stopped keeps what was written: the outcome's streams then end with [`End::Stopped`].
///
/// # Errors
/// A prompt or settings that make no sense; an edit of a latent that is not there; a site without
/// a dictionary; stopped before the prompt was read; a model that gives no finite logits by itself.
/// A number that overflows in a changed model ends its stream and is no error.
pub fn steer(
    ctx: &JobContext<SteerEvent>,
    model: &Model,
    dictionaries: &Dictionaries,
    spec: &SteerSpec,
) -> Result<SteerOutcome> {
    spec.sampler.check()?;
    if spec.tokens == 0 {
        return Err(Error::setting(
            "There is nothing to write",
            "the number of tokens is 0",
            "Ask for at least one",
        ));
    }
    let (text, ids) = spec.prompt.tokens(model)?;
    let tokenizer = model.need_tokenizer()?;
    let drawn = |id: u32| tokenizer.token_text(id).to_owned();
    let (edits, bounded) = bound(spec, dictionaries, ids.len())?;
    let edits = Edits::new(&edits, dictionaries)?;
    let splices = splices(spec, dictionaries)?;
    let prompt = PromptRead { text, tokens: ids.iter().map(|id| (*id, drawn(*id))).collect() };
    ctx.emit(SteerEvent::Prompt(prompt.clone()));

    let mut models = vec![(Stream::Unsteered, Vec::new())];
    if !edits.is_empty() {
        models.push((Stream::Steered, edits.changes()));
    }
    if !splices.is_empty() {
        let changes = splices.iter().map(|(site, splice)| (*site, splice as &dyn Change));
        models.push((Stream::Spliced, changes.collect()));
    }
    let check = || ctx.check();
    let all: Vec<Stream> = models.iter().map(|(stream, _)| *stream).collect();
    ctx.progress().stage("Reading the prompt", "", 0, 0);
    let mut run = Run {
        ctx,
        model,
        readers: Vec::new(),
        pens: Vec::new(),
        told: Instant::now(),
        news: Vec::new(),
    };
    for (stream, change) in &models {
        let reads: Vec<Stream> = all.iter().copied().filter(|text| reads(*stream, *text)).collect();
        let mut reader = Reader {
            stream: *stream,
            change,
            texts: reads,
            cache: Cache::new(),
            logits: Vec::new(),
        };
        run.pens.push(Pen {
            stream: *stream,
            sampler: Sampler::new(&spec.sampler),
            text: ids.clone(),
            written: Vec::new(),
            nll: 0.0,
            own_nll: 0.0,
            end: None,
        });
        match reader.begin(model, &ids, &check) {
            Ok(()) => run.readers.push(reader),
            Err(e) => run.overflow(*stream, e)?,
        }
    }
    ctx.progress().stage("Writing", "tokens", 0, (spec.tokens * all.len()) as u64);
    let since = Instant::now();
    let room = model.config().context - ids.len();
    run.write(spec.tokens, room, &drawn)?;
    let seconds = since.elapsed().as_secs_f64();
    let streams = run.finish(&ids)?;
    let total: usize = streams.iter().map(|s| s.written.len()).sum();
    Ok(SteerOutcome {
        prompt,
        streams,
        bounded,
        seconds,
        tokens_per_second: if seconds > 0.0 { total as f64 / seconds } else { 0.0 },
    })
}

/// Whether the model of a stream reads a text: the unsteered one reads all, and the steered one
/// also that of the unsteered stream.
fn reads(model: Stream, text: Stream) -> bool {
    match model {
        Stream::Unsteered => true,
        Stream::Steered => text != Stream::Spliced,
        Stream::Spliced => text == Stream::Spliced,
    }
}

/// The edits for a prompt of so many tokens, and which of them had to be bounded.
fn bound(
    spec: &SteerSpec,
    dictionaries: &Dictionaries,
    prompt: usize,
) -> Result<(Vec<crate::edits::Edit>, Vec<Bounded>)> {
    let mut bounded = Vec::new();
    let mut edits = Vec::new();
    for asked in &spec.edits {
        let made = asked.bounded(dictionaries);
        if made != *asked {
            bounded.push(Bounded { asked: asked.clone(), made: made.clone() });
        }
        edits.push(made.for_prompt(prompt));
    }
    Ok((edits, bounded))
}

fn splices(spec: &SteerSpec, dictionaries: &Dictionaries) -> Result<Vec<(Site, Reconstruct)>> {
    let splice = |site: &Site| {
        let sae = dictionaries.get(site).ok_or_else(|| {
            Error::setting(
                format!("{site} cannot be replaced by its reconstruction"),
                "there is no dictionary for it",
                "Load one that was trained at this site",
            )
        })?;
        Ok((*site, Reconstruct::new(sae.clone())))
    };
    let mut sites = spec.splice.clone();
    sites.sort_unstable();
    sites.dedup();
    sites.iter().map(splice).collect()
}

/// The model of one stream, reading the texts of several.
struct Reader<'a> {
    stream: Stream,
    change: &'a [(Site, &'a dyn Change)],
    /// Whose text each row of the cache is.
    texts: Vec<Stream>,
    cache: Cache,
    /// Of the token that comes next, a row a text.
    logits: Vec<Vec<f32>>,
}

impl Reader<'_> {
    fn begin(
        &mut self,
        model: &Model,
        prompt: &[u32],
        check: &dyn Fn() -> Result<()>,
    ) -> Result<()> {
        let mut logits = self.pass(model, &Tokens::row(prompt)?, check)?;
        let row = logits.pop().unwrap_or_default();
        self.cache.select(&vec![0; self.texts.len()])?;
        self.logits = vec![row; self.texts.len()];
        Ok(())
    }

    /// Reads one more token of each text that goes on; `next` says which.
    fn read(
        &mut self,
        model: &Model,
        next: impl Fn(Stream) -> Option<u32>,
        check: &dyn Fn() -> Result<()>,
    ) -> Result<()> {
        let open: Vec<usize> =
            (0..self.texts.len()).filter(|row| next(self.texts[*row]).is_some()).collect();
        if open.len() < self.texts.len() {
            self.cache.select(&open)?;
            self.texts = open.iter().map(|row| self.texts[*row]).collect();
        }
        let ids: Vec<u32> = self.texts.iter().filter_map(|text| next(*text)).collect();
        if ids.is_empty() {
            self.logits.clear();
            return Ok(());
        }
        let count = ids.len();
        self.logits = self.pass(model, &Tokens::new(ids, count, 1)?, check)?;
        Ok(())
    }

    fn pass(
        &mut self,
        model: &Model,
        tokens: &Tokens,
        check: &dyn Fn() -> Result<()>,
    ) -> Result<Vec<Vec<f32>>> {
        let plan = Plan {
            change: self.change,
            logits: Logits::Last,
            check: Some(check),
            ..Plan::default()
        };
        let pass = model.forward_cached(tokens, &plan, &mut self.cache)?;
        let logits = pass.logits.ok_or_else(|| Error::internal("Nothing was read", "no logits"))?;
        Ok(logits.to_dtype(DType::F32)?.to_vec2::<f32>()?)
    }

    /// Logits of the next token of a text.
    fn of(&self, text: Stream) -> Option<&[f32]> {
        let row = self.texts.iter().position(|t| *t == text)?;
        self.logits.get(row).map(Vec::as_slice)
    }
}

/// What writes one stream.
struct Pen {
    stream: Stream,
    sampler: Sampler,
    /// Prompt and what was written.
    text: Vec<u32>,
    written: Vec<Written>,
    /// Sum of −ln p of these under the model as it is, and under its own: a probability itself may
    /// be too small for a number.
    nll: f64,
    own_nll: f64,
    end: Option<End>,
}

struct Run<'a> {
    ctx: &'a JobContext<SteerEvent>,
    model: &'a Model,
    readers: Vec<Reader<'a>>,
    pens: Vec<Pen>,
    told: Instant,
    news: Vec<Written>,
}

impl Run<'_> {
    fn write(&mut self, tokens: usize, room: usize, drawn: &dyn Fn(u32) -> String) -> Result<()> {
        loop {
            for at in 0..self.pens.len() {
                self.one(at, tokens, room, drawn)?;
            }
            if self.told.elapsed() >= TELL {
                self.tell();
            }
            if self.pens.iter().all(|pen| pen.end.is_some()) {
                self.tell();
                return Ok(());
            }
            self.step()?;
        }
    }

    /// The next token of one stream.
    fn one(
        &mut self,
        at: usize,
        tokens: usize,
        room: usize,
        drawn: &dyn Fn(u32) -> String,
    ) -> Result<()> {
        if self.pens[at].end.is_some() {
            return Ok(());
        }
        if let Err(stopped) = self.ctx.check() {
            self.end(at, End::Stopped(stopped.why));
            return Ok(());
        }
        let stream = self.pens[at].stream;
        let of = |model: Stream| {
            let reader = self.readers.iter().find(|r| r.stream == model);
            reader.and_then(|r| r.of(stream))
        };
        let (Some(own), Some(plain)) = (of(stream), of(Stream::Unsteered)) else {
            return Err(Error::internal("A stream cannot go on", "nobody reads its text"));
        };
        let steered = of(Stream::Steered);
        let pen = &mut self.pens[at];
        let id = match pen.sampler.choose(own, &pen.text) {
            Ok(id) => id,
            Err(e) => return self.overflow(stream, e),
        };
        if self.model.config().eos.contains(&id) {
            self.end(at, End::EndOfText);
            return Ok(());
        }
        let plain = log_probability(plain, id);
        let own = if stream == Stream::Unsteered { plain } else { log_probability(own, id) };
        let steered = match stream {
            Stream::Steered => Some(own),
            _ => steered.map(|logits| log_probability(logits, id)).filter(|p| p.is_finite()),
        };
        let written = Written {
            stream,
            position: pen.text.len(),
            id,
            text: drawn(id),
            own: own.exp(),
            unsteered: plain.exp(),
            steered: steered.map(f64::exp),
        };
        pen.nll -= plain;
        pen.own_nll -= own;
        pen.text.push(id);
        pen.written.push(written.clone());
        self.news.push(written);
        self.ctx.progress().add(1);
        let count = self.pens[at].written.len();
        if count == tokens {
            self.end(at, End::Length);
        } else if count == room {
            self.end(at, End::Context);
        }
        Ok(())
    }

    /// Every model reads what was written of the texts that go on.
    fn step(&mut self) -> Result<()> {
        let pens = &self.pens;
        let next = |text: Stream| {
            let pen = pens.iter().find(|pen| pen.stream == text && pen.end.is_none())?;
            pen.text.last().copied()
        };
        let ctx = self.ctx;
        let mut failed = Vec::new();
        for reader in &mut self.readers {
            if let Err(e) = reader.read(self.model, next, &|| ctx.check()) {
                failed.push((reader.stream, e));
            }
        }
        for (stream, error) in failed {
            if error.is_cancelled() {
                for at in 0..self.pens.len() {
                    self.end(at, End::Stopped(error.why.clone()));
                }
                return Ok(());
            }
            self.readers.retain(|reader| reader.stream != stream);
            self.overflow(stream, error)?;
        }
        Ok(())
    }

    /// A number in the model of `stream` overflowed: its text ends there. The model as it is is
    /// what the others are measured by, so that its failure ends everything.
    fn overflow(&mut self, stream: Stream, error: Error) -> Result<()> {
        if error.kind != ErrorKind::Numeric || stream == Stream::Unsteered {
            return Err(error);
        }
        if let Some(at) = self.pens.iter().position(|pen| pen.stream == stream) {
            self.end(at, End::Overflow(format!("{}: {}", error.what, error.why)));
        }
        Ok(())
    }

    fn end(&mut self, at: usize, why: End) {
        let pen = &mut self.pens[at];
        if pen.end.is_none() {
            pen.end = Some(why.clone());
            let stream = pen.stream;
            self.tell();
            self.ctx.emit(SteerEvent::Ended { stream, why });
        }
    }

    fn tell(&mut self) {
        if !self.news.is_empty() {
            self.ctx.emit(SteerEvent::Written(std::mem::take(&mut self.news)));
        }
        self.told = Instant::now();
    }

    fn finish(self, prompt: &[u32]) -> Result<Vec<StreamOutcome>> {
        let tokenizer = self.model.need_tokenizer()?;
        let first: Vec<u32> =
            self.pens.first().map_or_else(Vec::new, |pen| pen.text[prompt.len()..].to_vec());
        let before = tokenizer.decode(prompt)?;
        let outcome = |pen: Pen| {
            let ids = &pen.text[prompt.len()..];
            let same = ids.iter().zip(&first).take_while(|(a, b)| a == b).count();
            // Alone, the first token would lose the space in front of it.
            let whole = tokenizer.decode(&pen.text)?;
            let text = match whole.strip_prefix(&before) {
                Some(text) => text.to_owned(),
                None => tokenizer.decode(ids)?,
            };
            let perplexity = |nll: f64| (!ids.is_empty()).then(|| (nll / ids.len() as f64).exp());
            Ok(StreamOutcome {
                stream: pen.stream,
                text,
                perplexity: perplexity(pen.nll),
                own_perplexity: perplexity(pen.own_nll),
                parts_at: (same < ids.len().max(first.len())).then_some(same),
                end: pen.end.unwrap_or(End::Length),
                written: pen.written,
            })
        };
        self.pens.into_iter().map(outcome).collect()
    }
}
