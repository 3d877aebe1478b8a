//! A study as one HTML page that needs nothing else: no script, no font, no picture from anywhere.

use super::{
    EFFECT_DEFINITION, PronounReport, RowKind, Share, Study, TRUTH_DEFINITION, TableRow, Verdict,
    is_feature, write_file,
};
use crate::error::Result;
use crate::html::{CSS, escaped};
use std::fmt::Write as _;
use std::path::Path;

/// What this page has beside the common style.
const OWN: &str = "\
body{max-width:72rem}\
header p,main p,dd{max-width:52rem}\
svg{max-width:52rem;margin-bottom:1.5rem}\
main>section:first-child{border-top:0;padding-top:1rem}\
.wide{overflow-x:auto}\
td small{display:block;white-space:nowrap;color:var(--weak);font-size:.75rem}\
td.name{min-width:11rem;font-weight:600}\
tr.main td{background:color-mix(in srgb,var(--accent) 8%,transparent)}\
.note{border-left:3px solid var(--accent);padding:.4rem .9rem;margin:1rem 0;background:var(--card)}\
.trim{color:#c2410c;font-weight:600}\
@media(prefers-color-scheme:dark){.trim{color:#fb923c}}\
svg text.v{fill:var(--ink);paint-order:stroke;stroke:var(--ground);stroke-width:3px}\
svg line.ci{stroke:var(--ink);stroke-width:1.5}\
svg line.half{stroke:var(--weak);stroke-dasharray:3 3}\
svg rect.other{fill:var(--weak);opacity:.45}\
td ul,dd ul{margin:0;padding-left:1.1rem}\
";

impl Study {
    /// The study as a page: headline figures, the table with a chart, how each row was made, the
    /// model's own pronouns, every feature with its verdict, the texts, all settings.
    pub fn to_page(&self) -> String {
        let title = escaped(&format!("SHIFT – {}", self.name));
        let mut body = String::new();
        self.result(&mut body);
        if let Some(pronouns) = &self.pronouns {
            section_of_pronouns(&mut body, pronouns);
        }
        self.features(&mut body);
        self.texts(&mut body);
        self.settings(&mut body);
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <title>{title}</title>\n<style>\n{CSS}{OWN}\n</style>\n</head>\n<body>\n\
             <header><h1>{title}</h1><p class=\"weak\">{}</p></header>\n<main>\n{body}</main>\n\
             <footer><p>Made by Sparsescope {}. Model <code>{}</code> (SHA-256), seed {}.</p></footer>\n\
             </body>\n</html>\n",
            self.facts(),
            escaped(&self.version),
            short(&self.model),
            self.spec.table.seed,
        )
    }

    /// Writes the page to `path`, whole or not at all.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_page(&self, path: &Path) -> Result<()> {
        write_file(path, self.to_page().as_bytes())
    }

    fn facts(&self) -> String {
        let d = &self.data;
        escaped(&format!(
            "A linear probe at {} of {} learns the {} ({} or {}) from {} texts in which the {} goes \
             with it ({} or {}). {} features of its circuit were trimmed, judged by {}.",
            self.probe.site,
            self.model_name,
            d.label_name,
            d.labels[0],
            d.labels[1],
            d.split.ambiguous,
            d.spurious_name,
            d.spurious[0],
            d.spurious[1],
            self.judgements.trimmed().len(),
            self.judged_by
        ))
    }

    fn result(&self, out: &mut String) {
        let Some(table) = &self.table else { return };
        out.push_str("<section>\n<h2>Result</h2>\n<dl>");
        let headline = [
            (RowKind::Original, "Worst group, original"),
            (RowKind::Shift, "after SHIFT"),
            (RowKind::ShiftRetrained, "after SHIFT and retraining"),
            (RowKind::Oracle, "oracle"),
        ];
        for (kind, name) in headline {
            let share = table.row(kind).and_then(|row| row.accuracies);
            let share = share.map_or_else(|| "–".to_owned(), |a| percent(a.worst_group.mean));
            let _ = write!(out, "<div><dt>{name}</dt><dd>{share}</dd></div>");
        }
        out.push_str("</dl>\n");
        chart(out, &table.rows);
        let d = &self.data;
        let _ = write!(
            out,
            "<div class=\"wide\"><table><thead><tr><th>Row</th><th class=\"n\">{}</th>\
             <th class=\"n\">{}</th><th class=\"n\">Worst group</th>",
            escaped(&capital(&d.label_name)),
            escaped(&capital(&d.spurious_name))
        );
        for label in &d.labels {
            for spurious in &d.spurious {
                let _ =
                    write!(out, "<th class=\"n\">{}<br>{}</th>", escaped(label), escaped(spurious));
            }
        }
        out.push_str("<th class=\"n\">Trimmed</th></tr></thead><tbody>\n");
        for row in &table.rows {
            row_of_table(out, row);
        }
        out.push_str("</tbody></table></div>\n");
        let _ = writeln!(out, "<p class=\"weak\">{}</p>", escaped(&table.definition));
        out.push_str("<h3>How each row was made</h3>\n<dl style=\"display:block\">");
        for row in &table.rows {
            let _ = write!(
                out,
                "<dt><b>{}</b></dt><dd style=\"font:inherit;margin-bottom:.6rem\">{}",
                row.kind.name(),
                escaped(&row.made)
            );
            if let Some(train) = row.train_accuracy {
                let _ = write!(
                    out,
                    " Its probe names {} of its own training texts right.",
                    percent(train)
                );
            }
            if !row.words.is_empty() {
                let _ = write!(
                    out,
                    "<details><summary>{} words</summary><p>{}</p></details>",
                    row.words.len(),
                    escaped(&row.words.join(", "))
                );
            }
            out.push_str("</dd>");
        }
        out.push_str("</dl>\n</section>\n");
    }

    fn features(&self, out: &mut String) {
        let features = self.circuit.nodes.iter().filter(|node| is_feature(node)).count();
        let _ = write!(
            out,
            "<section>\n<h2>The probe's circuit</h2>\n<p class=\"weak\">{} {features} features are \
             in it; what dictionaries leave over (errors) is shown and cannot be trimmed.</p>\n\
             <div class=\"wide\"><table><thead><tr><th>Feature</th><th class=\"n\">Effect</th>\
             <th>Verdict</th><th class=\"n\">{}</th><th class=\"n\">{}</th><th>Note</th></tr></thead><tbody>\n",
            escaped(EFFECT_DEFINITION),
            escaped(&format!("Tells {}", self.data.label_name)),
            escaped(&format!("Tells {}", self.data.spurious_name)),
        );
        for node in &self.circuit.nodes {
            let judgement = self.judgements.all.get(&node.node);
            let verdict = match judgement.map(|j| j.verdict) {
                Some(Verdict::Trim) => "<span class=\"trim\">trim</span>",
                Some(Verdict::Keep) => "keep",
                None if is_feature(node) => "–",
                None => "<span class=\"weak\">error</span>",
            };
            let telling = self.tellings.iter().find(|t| t.node == node.node);
            let auc = |auc: Option<f64>| {
                auc.map_or_else(|| "–".to_owned(), |auc| format!("{:.2}", auc.max(1.0 - auc)))
            };
            let _ = writeln!(
                out,
                "<tr><td><code>{}</code></td><td class=\"n\">{:.3}<small>± {:.3}</small></td><td>{verdict}</td>\
                 <td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td></tr>",
                node.node,
                node.effect.mean,
                node.effect.error,
                auc(telling.map(|t| t.label_auc)),
                auc(telling.map(|t| t.spurious_auc)),
                escaped(judgement.map_or("", |j| j.note.as_str())),
            );
        }
        let _ = write!(
            out,
            "</tbody></table></div>\n<p class=\"weak\">Judged by {}. What a feature tells: {} \
             Shown is the AUC or 1 less it, whichever is greater.</p>\n</section>\n",
            escaped(&self.judged_by),
            escaped(TRUTH_DEFINITION)
        );
    }

    fn texts(&self, out: &mut String) {
        let (d, s) = (&self.data, &self.data.split);
        let _ = write!(
            out,
            "<section>\n<h2>Texts</h2>\n<p>{}. {} ambiguous texts to learn from, {} balanced texts for \
             the oracle, the skylines and the truth, {} balanced texts to test on; {} in no part. \
             Pairing: {}.</p>\n",
            escaped(&capital(&d.source)),
            s.ambiguous,
            s.balanced_train,
            s.balanced_test,
            s.unused,
            escaped(&d.pairing)
        );
        if let Some(sentence) = s.cut_sentence() {
            let _ = writeln!(out, "<p>{sentence}</p>");
        }
        if s.same_tokens > 0 {
            let _ = writeln!(
                out,
                "<p>{} texts have the tokens of another one and are left out.</p>",
                s.same_tokens
            );
        }
        for (why, rows) in &d.left_out {
            let _ = writeln!(out, "<p>{rows} rows left out: {}.</p>", escaped(why));
        }
        out.push_str("<div class=\"wide\"><table><thead><tr><th>Group</th><th class=\"n\">Texts read</th></tr></thead><tbody>");
        for (l, label) in d.labels.iter().enumerate() {
            for (s, spurious) in d.spurious.iter().enumerate() {
                let _ = write!(
                    out,
                    "<tr><td>{}, {}</td><td class=\"n\">{}</td></tr>",
                    escaped(label),
                    escaped(spurious),
                    d.groups[l][s]
                );
            }
        }
        out.push_str("</tbody></table></div>\n</section>\n");
    }

    fn settings(&self, out: &mut String) {
        let json = serde_json::to_string_pretty(&self.spec).unwrap_or_default();
        let _ = write!(
            out,
            "<section>\n<h2>Settings</h2>\n<p>The probe: {} steps, cross-entropy {:.4} nats and {} of its \
             own training texts right.</p>\n<details><summary>Everything that was asked for</summary>\
             <pre class=\"text\">{}</pre></details>\n<details><summary>Dictionaries (SHA-256)</summary><ul>",
            self.probe.steps,
            self.probe.train_loss,
            percent(self.probe.train_accuracy),
            escaped(&json)
        );
        for (site, hash) in &self.dictionaries {
            let _ = write!(out, "<li><code>{site}</code> <code>{}</code></li>", short(hash));
        }
        out.push_str("</ul></details>\n</section>\n");
    }
}

fn row_of_table(out: &mut String, row: &TableRow) {
    let main = matches!(row.kind, RowKind::Shift | RowKind::ShiftRetrained);
    let class = if main { " class=\"main\"" } else { "" };
    let _ = write!(out, "<tr{class}><td class=\"name\">{}</td>", row.kind.name());
    let Some(a) = &row.accuracies else {
        let why = row.missing.as_deref().unwrap_or("It was not measured.");
        let _ = writeln!(out, "<td colspan=\"8\" class=\"weak\">{}</td></tr>", escaped(why));
        return;
    };
    let groups = a.groups.iter().flatten();
    for Share { mean, low, high } in
        [&a.label, &a.spurious, &a.worst_group].into_iter().chain(groups)
    {
        let _ = write!(
            out,
            "<td class=\"n\">{:.1}<small>{:.1}–{:.1}</small></td>",
            100.0 * mean,
            100.0 * low,
            100.0 * high
        );
    }
    let _ = writeln!(out, "<td class=\"n\">{}</td></tr>", row.trimmed);
}

/// Worst groups as bars, with their intervals.
fn chart(out: &mut String, rows: &[TableRow]) {
    let rows: Vec<_> = rows.iter().filter_map(|row| Some((row, row.accuracies?))).collect();
    let (wide, left, tall) = (720.0, 250.0, 22.0);
    let across = wide - left - 60.0;
    let high = tall * rows.len() as f64 + 20.0;
    let _ = write!(
        out,
        "<h3>Accuracy on the worst group</h3>\n<svg viewBox=\"0 0 {wide} {high:.0}\" role=\"img\" \
         aria-label=\"Accuracy on the worst group, row by row\">"
    );
    let middle = left + across / 2.0;
    let _ = write!(
        out,
        "<line class=\"half\" x1=\"{middle}\" x2=\"{middle}\" y1=\"0\" y2=\"{:.0}\"/>\
         <text x=\"{middle}\" y=\"{:.0}\" text-anchor=\"middle\">50 %</text>",
        high - 16.0,
        high - 4.0
    );
    for (i, (row, a)) in rows.iter().enumerate() {
        let y = tall * i as f64 + 4.0;
        let share = a.worst_group;
        let at = |share: f64| left + across * share.clamp(0.0, 1.0);
        let main = matches!(row.kind, RowKind::Shift | RowKind::ShiftRetrained);
        let class = if main { "" } else { " class=\"other\"" };
        let _ = write!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
             <rect{class} x=\"{left}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"14\" rx=\"2\"><title>{}: {} ({} to {})</title></rect>\
             <line class=\"ci\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>\
             <text class=\"v\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            left - 8.0,
            y + 11.0,
            row.kind.name(),
            at(share.mean) - left,
            row.kind.name(),
            percent(share.mean),
            percent(share.low),
            percent(share.high),
            at(share.low),
            at(share.high),
            y + 7.0,
            y + 7.0,
            at(share.high.max(share.mean)) + 6.0,
            y + 11.0,
            percent(share.mean),
        );
    }
    out.push_str("</svg>\n");
}

fn section_of_pronouns(out: &mut String, report: &PronounReport) {
    let _ = write!(
        out,
        "<section>\n<h2>What the model itself writes</h2>\n<p class=\"note\">{}</p>\n\
         <div class=\"wide\"><table><thead><tr><th>Places</th><th class=\"n\">Number</th>\
         <th class=\"n\">She-words<br>before</th><th class=\"n\"><br>after</th><th class=\"n\">He-words<br>before</th>\
         <th class=\"n\"><br>after</th><th class=\"n\">Right<br>before</th><th class=\"n\"><br>after</th></tr></thead><tbody>\n",
        escaped(&report.caveat)
    );
    for group in report.groups.iter().chain([&report.all]) {
        let _ = write!(
            out,
            "<tr><td class=\"name\">{}</td><td class=\"n\">{}</td>",
            escaped(&group.name),
            group.places
        );
        let (b, a) = (group.before, group.after);
        for share in [b.she, a.she, b.he, a.he, b.right, a.right] {
            let _ = write!(out, "<td class=\"n\">{}</td>", percent(share));
        }
        out.push_str("</tr>\n");
    }
    let left_out: Vec<String> =
        report.left_out.iter().map(|(why, n)| format!("{n} left out: {why}")).collect();
    let _ = write!(
        out,
        "</tbody></table></div>\n<p class=\"weak\">{} Read on {} texts of {}. Tokens of the she-words: {}; \
         of the he-words: {}. {}</p>\n</section>\n",
        escaped(&report.definition),
        report.texts,
        escaped(&report.text),
        escaped(&quoted(&report.she_tokens)),
        escaped(&quoted(&report.he_tokens)),
        escaped(&left_out.join("; "))
    );
}

fn quoted(tokens: &[String]) -> String {
    tokens.iter().map(|token| format!("“{token}”")).collect::<Vec<_>>().join(" ")
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|c| c.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn short(hash: &str) -> String {
    escaped(&hash.chars().take(12).collect::<String>())
}
