//! `prompt`: which latents fire on a text, and what the next token owes to them.

use super::eval::{Opened, WithSae};
use super::report::Report;
use super::table::{Style, Table, count, figure, percent};
use super::{Global, watch};
use clap::{Args, ValueEnum};
use sparsescope_core::evaluation::site_of;
use sparsescope_core::features::{Fired, PromptReading, PromptSpec, read_prompt};
use sparsescope_core::{Error, Result};

/// Say which latents of a dictionary fire on a text, ranked by what they do to the next token
#[derive(Args, Clone)]
#[command(after_help = "\
The metric is the logit of the next token less the mean logit, or less that of --against.
Attribution is the part of it that would go with a latent, to first order; the direct effect is what
reaches the logit past all later blocks.

Examples:
  sparsescope prompt my-sae \"The pilots near the old house\" --next \" are\" --against \" is\"
  sparsescope prompt my-sae \"The key to the cabinets\" --rank activation --top 40 --json")]
pub struct PromptArgs {
    #[command(flatten)]
    with: WithSae,
    /// The text
    text: String,
    /// The token whose successor is asked about, counted from 0 with BOS [default: the last]
    #[arg(long, value_name = "N")]
    position: Option<usize>,
    /// The next token to look at: one token's text, or its number [default: the likeliest]
    #[arg(long, value_name = "TOKEN")]
    next: Option<String>,
    /// The token to compare it with
    #[arg(long, value_name = "TOKEN")]
    against: Option<String>,
    /// What to rank by, the greatest size first
    #[arg(long, value_enum, default_value_t = By::Attribution, value_name = "BY")]
    rank: By,
    /// Latents to list; --json lists every one
    #[arg(long, default_value_t = 20, value_name = "N")]
    top: usize,
}

#[derive(Clone, Copy, ValueEnum)]
enum By {
    /// How strongly it fires
    Activation,
    /// Its direct effect on the logit
    Direct,
    /// What would go with it, to first order
    Attribution,
}

/// Reads the prompt.
///
/// # Errors
/// The dictionary does not fit the model; a text of no tokens; cancelled.
pub fn run(args: &PromptArgs, global: &Global) -> Result<Report> {
    let (asked, settings) = (args.clone(), global.clone());
    let reading = watch::quietly("Read the prompt", move |ctx| {
        let Opened { sae, model, spec } = asked.with.open(ctx, &settings)?;
        let site = site_of(&model, &sae, None, spec.allow_foreign)?;
        let token = |text: &Option<String>| text.as_deref().map(|t| one(&model, t)).transpose();
        let spec = PromptSpec {
            text: asked.text.clone(),
            position: asked.position,
            target: token(&asked.next)?,
            against: token(&asked.against)?,
        };
        read_prompt(&model, &sae, site, &spec, &|| ctx.check())
    })?;
    let text = written(&reading, args);
    Report::new(&reading, text)
}

/// The one token that is meant.
fn one(model: &sparsescope_core::llama::Model, text: &str) -> Result<u32> {
    let tokenizer = model.need_tokenizer()?;
    // As it is drawn: a text encoded alone may get a space in front that its token has already.
    let all = 0..model.config().vocab as u32;
    let mut named = all.filter(|id| tokenizer.token_text(*id) == text);
    if let (Some(id), None) = (named.next(), named.next()) {
        return Ok(id);
    }
    let ids = tokenizer.encode(text, false)?;
    match (ids.as_slice(), text.parse::<u32>()) {
        ([id], _) => Ok(*id),
        (_, Ok(id)) => Ok(id),
        _ => Err(Error::setting(
            format!("{text:?} cannot be looked at"),
            format!("it is {} tokens of this model, and a next token is one", ids.len()),
            "Name one token, with its leading space if it has one, or its number",
        )),
    }
}

fn written(reading: &PromptReading, args: &PromptArgs) -> String {
    let style = Style::of_stdout();
    let value = |f: &Fired| match args.rank {
        By::Activation => f.activation,
        By::Direct => f.direct,
        By::Attribution => f.attribution,
    };
    let mut ranked: Vec<&Fired> = reading.fired.iter().collect();
    ranked.sort_by(|a, b| {
        let by_size = value(b).abs().total_cmp(&value(a).abs());
        by_size.then((a.position, a.latent).cmp(&(b.position, b.latent)))
    });
    let mut table =
        Table::new(&[">token", "", ">latent", ">activation", ">direct", ">attribution"]);
    for f in ranked.iter().take(args.top) {
        table.row([
            f.position.to_string(),
            format!("{:?}", reading.tokens[f.position as usize].1),
            f.latent.to_string(),
            figure(f64::from(f.activation)),
            if f.direct == 0.0 { "–".to_owned() } else { format!("{:+.4}", f.direct) },
            format!("{:+.4}", f.attribution),
        ]);
    }
    let after = &reading.tokens[reading.position].1;
    let against = match &reading.against {
        Some(other) => format!("logit({:?})", other.text),
        None => "the mean logit".to_owned(),
    };
    let mut said = format!(
        "{} latents fire at {} on {} tokens.\n",
        count(reading.fired.len() as u64),
        reading.site,
        reading.tokens.len() - reading.first,
    );
    if reading.cut > 0 {
        said += &format!(
            "{} tokens at the end did not fit into the model's context and were left out.\n",
            reading.cut
        );
    }
    said += &format!(
        "After {after:?}: {:?} with probability {}; logit({:?}) − {against} = {:.4}.\n\n{}",
        reading.target.text,
        percent(reading.target.probability),
        reading.target.text,
        reading.metric,
        table.render(style)
    );
    said
}
