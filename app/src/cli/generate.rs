//! `generate`: text written with edits in force, beside the same without.

use super::circuit::dictionaries;
use super::input::{ModelArgs, open_model};
use super::report::Report;
use super::table::{Style, Table, count, figure, percent};
use super::{Global, watch};
use clap::Args;
use serde_json::json;
use sparsescope_core::edits::{Dictionaries, Edit};
use sparsescope_core::llama::{Model, Site};
use sparsescope_core::steering::{
    EditSet, Message, Prompt, Role, SamplerSpec, SteerEvent, SteerOutcome, SteerSpec, Stream,
    StreamOutcome, steer,
};
use sparsescope_core::{Error, Result};
use std::path::{Path, PathBuf};

/// Write on after a prompt, with and without edits of latents, side by side from one seed
#[derive(Args, Clone)]
#[command(after_help = "\
An edit is SITE/LATENT and one of: set V, add V, scale S, ablate; then @ POSITIONS if not everywhere
(generated, 3..7, 5.., 0,4). Strengths are in units of the activations. What the dictionary does not
reconstruct stays as it is. A file of edits is what the window saves, or has one edit a line.

Each text is also read by the other's model: a token's change is its probability under the steered
model less that under the unsteered one. Perplexity is that of a text under the unsteered model.

Examples:
  sparsescope generate \"The pilots near the house\" --tokens 30
  sparsescope generate \"The nurse said that\" --saes my-saes --edit \"resid.2/41 add 3 @ generated\"
  sparsescope generate \"Who are you?\" --model ~/models/Llama --chat --saes my-saes --edit calm.json")]
pub struct GenerateArgs {
    /// How the text begins, or with --chat what the user says
    prompt: String,
    #[command(flatten)]
    model: ModelArgs,
    /// A dictionary's folder, or one with a folder for each; may be given several times
    #[arg(long, alias = "dictionaries", value_name = "DIR")]
    saes: Vec<PathBuf>,
    /// An edit, or a file of edits; may be given several times
    #[arg(long, value_name = "EDIT or FILE")]
    edit: Vec<String>,
    /// A site that a third text replaces by its reconstruction, the error dropped; may be given
    /// several times
    #[arg(long, value_name = "SITE")]
    splice: Vec<Site>,
    /// The prompt is a message, written as the model's chat template says
    #[arg(long)]
    chat: bool,
    /// What the model is told before the user speaks
    #[arg(long, value_name = "TEXT", requires = "chat")]
    system: Option<String>,
    /// Most tokens of each text
    #[arg(long, default_value_t = 50, value_name = "N")]
    tokens: usize,
    /// Divides the logits; 0 takes the likeliest token, always
    #[arg(long, default_value_t = 0.0, value_name = "X")]
    temperature: f64,
    /// Only the likeliest tokens that together reach this probability [default: all]
    #[arg(long, value_name = "X")]
    top_p: Option<f64>,
    /// Only so many likeliest tokens [default: all]
    #[arg(long, value_name = "N")]
    top_k: Option<usize>,
    /// Divides the positive logits of tokens that were there before, multiplies the negative ones
    #[arg(long, default_value_t = 1.0, value_name = "X")]
    repetition_penalty: f32,
    /// How many last tokens count as having been there before
    #[arg(long, default_value_t = 64, value_name = "N")]
    repeat_last: usize,
    /// Print every token with its probabilities
    #[arg(long)]
    probabilities: bool,
    /// Go on though a dictionary was trained on another model, or the edits of a file were made for
    /// other dictionaries
    #[arg(long)]
    allow_foreign: bool,
}

/// Writes.
///
/// # Errors
/// A prompt, an edit or a setting that makes no sense; a model without a chat template.
pub fn run(args: &GenerateArgs, global: &Global) -> Result<Report> {
    let (asked, settings) = (args.clone(), global.clone());
    // The end of the steered text, or of the only one, moves beside the bar.
    let mut tail = String::new();
    let told = move |event: SteerEvent| {
        let SteerEvent::Written(news) = event else { return None };
        let last = news.iter().map(|w| w.stream).max()?;
        news.iter().filter(|w| w.stream == last).for_each(|w| tail += &w.text);
        let from = tail.char_indices().rev().nth(39).map_or(0, |(at, _)| at);
        tail.drain(..from);
        Some(tail.clone())
    };
    let (outcome, model, spec) = watch::run("Write", told, move |ctx| {
        let model = open_model(ctx, &asked.model.path()?, &settings)?;
        let dictionaries = dictionaries(ctx, &model, &asked.saes, asked.allow_foreign)?;
        let spec = asked.spec(&model, &dictionaries, settings.seed())?;
        let outcome = steer(ctx, &model, &dictionaries, &spec)?;
        Ok((outcome, model.hash().to_owned(), spec))
    })?;
    let text = said(&outcome, args.probabilities);
    let mut json = serde_json::to_value(&outcome)
        .map_err(|e| Error::internal("The result could not be written", e.to_string()))?;
    json["model"] = json!(model);
    json["spec"] = json!(spec);
    Report::new(&json, text)
}

impl GenerateArgs {
    fn spec(&self, model: &Model, dictionaries: &Dictionaries, seed: u64) -> Result<SteerSpec> {
        let message = |role, content: &String| Message { role, content: content.clone() };
        let prompt = match self.chat {
            false => Prompt::Text(self.prompt.clone()),
            true => {
                let system = self.system.as_ref().map(|text| message(Role::System, text));
                let user = message(Role::User, &self.prompt);
                Prompt::Chat(system.into_iter().chain([user]).collect())
            }
        };
        let mut edits = Vec::new();
        for text in &self.edit {
            edits.extend(read_edits(text, model, dictionaries, self.allow_foreign)?);
        }
        Ok(SteerSpec {
            prompt,
            tokens: self.tokens,
            sampler: SamplerSpec {
                temperature: self.temperature,
                top_p: self.top_p,
                top_k: self.top_k,
                repetition_penalty: self.repetition_penalty,
                repeat_last: self.repeat_last,
                seed,
            },
            edits,
            splice: self.splice.clone(),
        })
    }
}

/// The edits that `text` is, or those of the file that it names.
///
/// # Errors
/// Neither; edits of a file that were made for another model or other dictionaries, unless
/// `allow_foreign`.
fn read_edits(
    text: &str,
    model: &Model,
    dictionaries: &Dictionaries,
    allow_foreign: bool,
) -> Result<Vec<Edit>> {
    let path = Path::new(text);
    // An edit has a space in it, and hardly is the name of a file.
    if !path.exists() && text.trim().contains(' ') {
        return Ok(vec![text.parse()?]);
    }
    let set = EditSet::read(path)?;
    if !allow_foreign {
        set.check(model, dictionaries).map_err(|e| Error {
            remedy: "Name the model and the dictionaries that they were made for, or say \
                     --allow-foreign if they are meant for these"
                .to_owned(),
            ..e
        })?;
    }
    Ok(set.edits)
}

fn said(outcome: &SteerOutcome, probabilities: bool) -> String {
    let style = Style::of_stdout();
    let mut out = format!("{}\n", style.dim(outcome.prompt.text.trim_end()));
    for b in &outcome.bounded {
        out += &format!("\nThe strength of {} was bounded: {}\n", b.asked, b.made);
    }
    for stream in &outcome.streams {
        out += &format!("\n{}\n{}\n", style.bold(&heading(stream)), stream.text.trim());
    }
    if probabilities {
        for stream in &outcome.streams {
            out +=
                &format!("\n{}\n{}", style.bold(&stream.stream.to_string()), tokens(stream, style));
        }
    }
    out + &format!("\n{} tokens a second\n", count(outcome.tokens_per_second as u64))
}

/// "steered: 30 tokens, perplexity 5.2; other than unsteered from its token 3 on; it has ...".
fn heading(stream: &StreamOutcome) -> String {
    let written = stream.written.len();
    let tokens = if written == 1 { "token" } else { "tokens" };
    let mut out = format!("{}: {written} {tokens}", stream.stream);
    if let Some(perplexity) = stream.perplexity {
        out += &format!(", perplexity {}", figure(perplexity));
    }
    if stream.stream != Stream::Unsteered {
        out += &match stream.parts_at {
            Some(at) => format!("; other than the unsteered text from token {} on", at + 1),
            None => "; the same as the unsteered text".to_owned(),
        };
    }
    out + &format!("; {}", stream.end)
}

/// "+3.1 %", of probability; nothing that rounds to nothing.
fn change(by: f64) -> String {
    if by.abs() < 0.0005 { String::new() } else { format!("{:+.1} %", 100.0 * by) }
}

fn tokens(stream: &StreamOutcome, style: Style) -> String {
    let mut table = Table::new(&[">position", "", ">unsteered", ">own", ">change"]);
    for w in &stream.written {
        table.row([
            w.position.to_string(),
            format!("{:?}", w.text),
            percent(w.unsteered),
            percent(w.own),
            w.change().map_or_else(|| "–".to_owned(), change),
        ]);
    }
    table.render(style)
}
