//! Texts as SVG: real text, with the place of each character.

use super::svg::{Svg, number, paint};
use egui::epaint::text::{Glyph, PlacedRow, TextFormat};
use egui::epaint::{Mesh, TextShape};
use egui::{Color32, FontFamily, Pos2, Stroke};
use std::fmt::Write as _;

/// Characters that look alike and stand on one line.
struct Run {
    format: TextFormat,
    color: Color32,
    y: f32,
    text: String,
    xs: Vec<f32>,
}

/// Writes a text: what lies behind it, its characters, the lines under or through it.
pub(super) fn write(svg: &mut Svg, shape: &TextShape, density: f32) {
    let galley = &shape.galley;
    let origin = match shape.angle == 0.0 {
        true => (shape.pos.to_vec2() * density).round() / density,
        false => shape.pos.to_vec2(),
    };
    let turned = shape.angle != 0.0;
    if turned {
        let (angle, pos) = (number(shape.angle.to_degrees()), shape.pos);
        let _ = writeln!(
            svg.body,
            "<g transform=\"rotate({angle} {} {})\">",
            number(pos.x),
            number(pos.y)
        );
    }
    let mut chars = Characters::of(shape);
    for row in &galley.rows {
        let by = origin + row.pos.to_vec2();
        let (behind, above) = decorations(row, shape);
        svg.mesh(&behind, by);
        let mut run: Option<Run> = None;
        for glyph in &row.glyphs {
            let format = chars.format_of(glyph.chr);
            let color = color_of(row, glyph, shape);
            let at = by + glyph.pos.to_vec2();
            let same = |r: &Run| r.color == color && r.y == at.y && same_font(&r.format, format);
            if !run.as_ref().is_some_and(same) {
                end(svg, run.take());
                let (text, xs) = (String::new(), Vec::new());
                run = Some(Run { format: format.clone(), color, y: at.y, text, xs });
            }
            if let Some(run) = &mut run {
                run.text.push(glyph.chr);
                run.xs.push(at.x);
            }
        }
        end(svg, run);
        svg.mesh(&above, by);
        if !shape.underline.is_empty() {
            underline(svg, row, by.to_pos2(), shape.underline);
        }
        if row.ends_with_newline {
            chars.pass_newline();
        }
    }
    if turned {
        svg.body += "</g>\n";
    }
}

fn same_font(a: &TextFormat, b: &TextFormat) -> bool {
    a.font_id == b.font_id && a.italics == b.italics
}

/// Walks through the characters of a galley's text beside its glyphs.
struct Characters<'a> {
    shape: &'a TextShape,
    chars: std::iter::Peekable<std::str::CharIndices<'a>>,
    section: usize,
    plain: TextFormat,
}

impl<'a> Characters<'a> {
    fn of(shape: &'a TextShape) -> Self {
        let chars = shape.galley.job.text.char_indices().peekable();
        Self { shape, chars, section: 0, plain: TextFormat::default() }
    }

    /// The format of the next character, which is drawn as `drawn`. Where the text was cut, what
    /// stands for the rest has the format of where it was cut.
    fn format_of(&mut self, drawn: char) -> &TextFormat {
        let sections = &self.shape.galley.job.sections;
        if let Some((at, _)) = self.chars.next_if(|(_, c)| *c == drawn) {
            while sections
                .get(self.section)
                .is_some_and(|s| at >= s.byte_range.end.into() && self.section + 1 < sections.len())
            {
                self.section += 1;
            }
        }
        sections.get(self.section).map_or(&self.plain, |s| &s.format)
    }

    fn pass_newline(&mut self) {
        self.chars.next_if(|(_, c)| *c == '\n');
    }
}

fn color_of(row: &PlacedRow, glyph: &Glyph, shape: &TextShape) -> Color32 {
    let vertices = &row.visuals.mesh.vertices;
    let drawn = vertices.get(glyph.first_vertex as usize).map(|v| v.color);
    let color = match (shape.override_text_color, drawn) {
        (Some(color), _) => color,
        (None, Some(color)) if color != Color32::PLACEHOLDER => color,
        _ => shape.fallback_color,
    };
    faded(color, shape)
}

fn faded(color: Color32, shape: &TextShape) -> Color32 {
    if shape.opacity_factor < 1.0 { color.gamma_multiply(shape.opacity_factor) } else { color }
}

/// What is drawn behind the characters of a row, and what is drawn over them.
fn decorations(row: &PlacedRow, shape: &TextShape) -> (Mesh, Mesh) {
    let all = &row.visuals.mesh;
    let glyphs = &row.visuals.glyph_vertex_range;
    let (mut behind, mut above) = (Mesh::default(), Mesh::default());
    let mut colored = all.vertices.clone();
    for vertex in &mut colored {
        if vertex.color == Color32::PLACEHOLDER {
            vertex.color = shape.fallback_color;
        }
        vertex.color = faded(vertex.color, shape);
    }
    for corners in all.indices.as_chunks::<3>().0 {
        let first = corners[0] as usize;
        if !glyphs.contains(&first) {
            let part = if first < glyphs.start { &mut behind } else { &mut above };
            part.indices.extend(corners);
        }
    }
    behind.vertices.clone_from(&colored);
    above.vertices = colored;
    (behind, above)
}

fn underline(svg: &mut Svg, row: &PlacedRow, at: Pos2, stroke: Stroke) {
    let y = number(at.y + row.row.size.y);
    let paint = paint(Color32::TRANSPARENT, stroke.width, stroke.color);
    let (from, to) = (number(at.x), number(at.x + row.row.size.x));
    let _ = writeln!(svg.body, "<line x1=\"{from}\" y1=\"{y}\" x2=\"{to}\" y2=\"{y}\"{paint}/>");
}

fn end(svg: &mut Svg, run: Option<Run>) {
    let Some(run) = run else { return };
    if run.text.trim().is_empty() {
        return;
    }
    let fill = paint(run.color, 0.0, Color32::TRANSPARENT);
    if fill.is_empty() {
        return;
    }
    let (family, weight) = match &run.format.font_id.family {
        FontFamily::Monospace => ("'JetBrains Mono', monospace", ""),
        FontFamily::Proportional => ("Inter, sans-serif", ""),
        // Headings and figures that stand out.
        FontFamily::Name(_) => ("Inter, sans-serif", " font-weight=\"600\""),
    };
    let style = if run.format.italics { " font-style=\"italic\"" } else { "" };
    let size = number(run.format.font_id.size);
    let xs: Vec<String> = run.xs.iter().map(|x| number(*x)).collect();
    let _ = write!(
        svg.body,
        "<text xml:space=\"preserve\" x=\"{}\" y=\"{}\" font-family=\"{family}\" \
         font-size=\"{size}\"{weight}{style}{fill}>",
        xs.join(" "),
        number(run.y)
    );
    run.text.chars().for_each(|c| escape(&mut svg.body, c));
    svg.body += "</text>\n";
}

/// A character as XML may hold it; one that it may not hold becomes the sign for such.
fn escape(out: &mut String, c: char) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        '\'' => out.push_str("&#39;"),
        '\t' | '\n' | '\r' => out.push(' '),
        '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
        c => out.push(c),
    }
}
