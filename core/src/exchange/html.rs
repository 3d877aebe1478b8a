//! Features as one HTML page that needs nothing else: no script, no font, no picture from anywhere.

use super::{Common, Feature};
use crate::error::Result;
use crate::features::{Context, GroupKind, QUANTILES, RankedSentence, TokenEffect};
use crate::html::{CSS, escaped};
use std::fmt::Write as _;

/// Opacity of the strongest shade, so that text stays readable on it in light and dark.
const DEEPEST: f32 = 0.6;

/// The page.
pub(super) fn page<'a>(
    common: &Common<'_>,
    features: &mut dyn Iterator<Item = Result<Feature<'a>>>,
) -> Result<String> {
    let (request, about) = (common.request, common.about);
    let mut sections = String::new();
    let mut links = String::new();
    let mut only = None;
    let mut count = 0;
    for feature in features {
        let feature = feature?;
        let index = feature.summary.index;
        let name = match feature.label {
            Some(label) => format!("{index} · {}", escaped(&label.text)),
            None => format!("Latent {index}"),
        };
        let _ = write!(links, "<a href=\"#latent-{index}\">{name}</a>");
        only.get_or_insert(name);
        count += 1;
        section(&mut sections, common, &feature);
    }
    let sae = escaped(&request.name);
    let title = match only {
        Some(name) if count == 1 => format!("{name} – {sae}"),
        _ => sae.clone(),
    };
    let nav = if count > 1 { format!("<nav>{links}</nav>\n") } else { String::new() };
    let facts = format!(
        "{} of {} latents on {} of {}. Collected from {} tokens of {} ({}).",
        escaped(common.sae.architecture.name()),
        common.sae.latents(),
        about.site,
        escaped(&request.model_name),
        about.tokens,
        escaped(&about.spec.corpus.name()),
        escaped(&about.spec.rows.to_string()),
    );
    Ok(format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{title}</title>\n<style>\n{CSS}</style>\n</head>\n<body>\n\
         <header><h1>{sae}</h1><p class=\"weak\">{facts}</p></header>\n{nav}<main>\n{sections}</main>\n\
         <footer><p>Made by Sparsescope {}. Model <code>{}</code>, dictionary <code>{}</code> (SHA-256), \
         seed {}.</p></footer>\n</body>\n</html>\n",
        env!("CARGO_PKG_VERSION"),
        short(&about.model),
        short(&about.sae),
        about.spec.seed,
    ))
}

fn section(out: &mut String, common: &Common<'_>, feature: &Feature<'_>) {
    let (s, detail) = (feature.summary, &feature.detail);
    let _ = write!(out, "<section id=\"latent-{0}\">\n<h2>Latent {0}</h2>\n", s.index);
    if let Some(label) = feature.label {
        let (text, source) = (escaped(&label.text), escaped(&label.source));
        let _ = writeln!(
            out,
            "<p><span class=\"label\">{text}</span> <span class=\"weak\">({source})</span></p>"
        );
    }
    if s.fired == 0 {
        let tokens = common.about.tokens;
        let _ = writeln!(out, "<p>It fired on none of the {tokens} tokens.</p>\n</section>");
        return;
    }
    out.push_str("<dl>");
    for (name, value, definition) in [
        ("Density", percent(s.density), "Share of tokens on which it fires"),
        ("Fires on", format!("{} tokens", s.fired), "Tokens on which it fires"),
        ("Max", number(s.max), "Its greatest activation"),
        ("Mean", number(s.mean), "Mean of its activation where it fires"),
    ] {
        let _ = write!(out, "<div title=\"{definition}\"><dt>{name}</dt><dd>{value}</dd></div>");
    }
    out.push_str("</dl>\n");
    histogram(out, feature);
    if let Some(effects) = &feature.effects {
        out.push_str(
            "<h3>Direct effect on the logits, of one unit of activation and with the final norm's \
             factor taken as 1</h3>\n<div class=\"two\">",
        );
        tokens(out, "Promoted", &effects.promoted);
        tokens(out, "Suppressed", &effects.suppressed);
        out.push_str("</div>\n");
    }
    for group in &detail.groups {
        let title = match group.kind {
            GroupKind::Top => "Strongest contexts".to_owned(),
            GroupKind::Quantile { from, to, low, high } => format!(
                "Drawn at random from {:.0} to {:.0} % of its activations ({} to {})",
                from * 100.0,
                to * 100.0,
                number(low),
                number(high)
            ),
        };
        let _ = writeln!(out, "<h3>{title}</h3>");
        for one in &group.contexts {
            let value = one.activations.get(one.peak).copied().unwrap_or(0.0);
            context(out, one, value, s.max);
        }
    }
    let lists = [
        ("mean activation", &detail.sentences.by_mean),
        ("activation on the last token", &detail.sentences.by_last),
        ("greatest activation", &detail.sentences.by_max),
    ];
    for (by, sentences) in lists.into_iter().filter(|l| !l.1.is_empty()) {
        let _ = writeln!(out, "<details><summary>Sentences by {by}</summary>");
        for RankedSentence { score, context: one } in sentences {
            context(out, one, *score, s.max);
        }
        out.push_str("</details>\n");
    }
    if !detail.coactive.is_empty() {
        let _ = writeln!(
            out,
            "<details><summary>Fires together with (on {} tokens drawn at random, {} of them with \
             this latent)</summary><table><thead><tr><th>Latent</th><th class=\"n\">Both</th>\
             <th class=\"n\">Jaccard</th><th class=\"n\">Correlation</th></tr></thead><tbody>",
            detail.coactive_tokens, detail.coactive_fired
        );
        for c in &detail.coactive {
            let name = match common.request.labels.get(&c.latent) {
                Some(label) => format!("{} · {}", c.latent, escaped(&label.text)),
                None => c.latent.to_string(),
            };
            let _ = write!(
                out,
                "<tr><td>{name}</td><td class=\"n\">{}</td><td class=\"n\">{:.3}</td>\
                 <td class=\"n\">{:.3}</td></tr>",
                c.both, c.jaccard, c.correlation
            );
        }
        out.push_str("</tbody></table></details>\n");
    }
    out.push_str("</section>\n");
}

fn context(out: &mut String, one: &Context, value: f32, max: f32) {
    let _ = write!(
        out,
        "<div class=\"context\"><span class=\"value\" title=\"row {} of the sample, document {}, token {}\">{}</span>\
         <span class=\"text\">",
        one.row,
        one.document,
        one.start as usize + one.peak,
        number(value)
    );
    for (i, (token, activation)) in one.tokens.iter().zip(&one.activations).enumerate() {
        let text = escaped(token);
        let share = if max > 0.0 { (activation / max).clamp(0.0, 1.0) } else { 0.0 };
        let peak = if i == one.peak { " class=\"peak\"" } else { "" };
        if share > 0.0 {
            let _ = write!(
                out,
                "<span{peak} style=\"background:rgba(var(--heat),{:.2})\" title=\"{}\">{text}</span>",
                (share * DEEPEST).max(0.06),
                number(*activation)
            );
        } else if i == one.peak {
            let _ = write!(out, "<span{peak}>{text}</span>");
        } else {
            out.push_str(&text);
        }
    }
    out.push_str("</span></div>\n");
}

fn tokens(out: &mut String, name: &str, tokens: &[TokenEffect]) {
    let _ = write!(
        out,
        "<table><thead><tr><th>{name}</th><th class=\"n\">Change</th></tr></thead><tbody>"
    );
    for token in tokens {
        let _ = write!(
            out,
            "<tr><td><code>{}</code></td><td class=\"n\">{}</td></tr>",
            escaped(&token.text),
            number(token.effect)
        );
    }
    out.push_str("</tbody></table>");
}

/// The histogram of the activations where it fires, as an inline picture.
fn histogram(out: &mut String, feature: &Feature<'_>) {
    let histogram = &feature.summary.histogram;
    let most = histogram.counts.iter().copied().max().unwrap_or(0).max(1);
    let (wide, high, left) = (720.0, 90.0, 44.0);
    let step = (wide - left) / histogram.counts.len().max(1) as f32;
    let quantiles: Vec<String> = QUANTILES
        .iter()
        .zip(feature.summary.quantiles)
        .map(|(q, v)| format!("{:.0} %: {}", q * 100.0, number(v)))
        .collect();
    let _ = write!(
        out,
        "<h3>Activations where it fires</h3>\n<svg viewBox=\"0 0 {wide} {:.0}\" role=\"img\" \
         aria-label=\"Histogram of activations\"><line x1=\"{left}\" y1=\"{high}\" x2=\"{wide}\" y2=\"{high}\"/>",
        high + 18.0
    );
    for (i, count) in histogram.counts.iter().enumerate().filter(|(_, c)| **c > 0) {
        let tall = (*count as f32 / most as f32 * (high - 4.0)).max(1.0);
        let _ = write!(
            out,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{tall:.1}\"><title>{} to {}: {count} tokens</title></rect>",
            left + step * i as f32 + 0.5,
            high - tall,
            (step - 1.0).max(0.5),
            number(histogram.width * i as f32),
            number(histogram.width * (i + 1) as f32),
        );
    }
    let _ = write!(
        out,
        "<text x=\"{:.0}\" y=\"12\" text-anchor=\"end\">{most}</text><text x=\"{left}\" y=\"{2:.0}\">0</text>\
         <text x=\"{wide}\" y=\"{2:.0}\" text-anchor=\"end\">{1}</text></svg>\n\
         <p class=\"weak\">Quantiles: {3}</p>\n",
        left - 6.0,
        number(histogram.width * histogram.counts.len() as f32),
        high + 14.0,
        quantiles.join(", ")
    );
}

/// Three digits.
fn number(x: f32) -> String {
    let size = x.abs();
    match size {
        0.0 => "0".to_owned(),
        s if s >= 100.0 => format!("{x:.0}"),
        s if s >= 10.0 => format!("{x:.1}"),
        s if s >= 1.0 => format!("{x:.2}"),
        s if s >= 0.001 => format!("{x:.4}"),
        _ => format!("{x:.1e}"),
    }
}

fn percent(share: f32) -> String {
    let percent = share * 100.0;
    if percent >= 0.01 { format!("{percent:.2} %") } else { format!("{percent:.1e} %") }
}

fn short(hash: &str) -> String {
    escaped(&hash.chars().take(12).collect::<String>())
}
