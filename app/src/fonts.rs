//! The fonts that are in the binary: text, figures, Chinese, Japanese, Korean, emoji, symbols.

use egui::epaint::text::FontTweak;
use egui::{Context, FontData, FontDefinitions, FontFamily, FontId};
use std::borrow::Cow;
use std::fmt::Write as _;

const FILES: [(&str, &[u8]); 5] = [
    ("Inter", include_bytes!("../assets/fonts/Inter-Regular.otf")),
    ("Inter SemiBold", include_bytes!("../assets/fonts/Inter-SemiBold.otf")),
    ("JetBrains Mono", include_bytes!("../assets/fonts/JetBrainsMono-Regular.ttf")),
    ("Micro Hei", include_bytes!("../assets/fonts/wqy-microhei.ttc")),
    ("Symbola", include_bytes!("../assets/fonts/Symbola_hint.ttf")),
];

/// Every font file.
pub fn files() -> impl Iterator<Item = &'static [u8]> {
    FILES.into_iter().map(|(_, bytes)| bytes)
}

/// The fonts of each family: its own first, then those for other scripts and for symbols.
pub fn definitions() -> FontDefinitions {
    let mut fonts = FontDefinitions::empty();
    for (name, bytes) in FILES {
        let tweak = match name {
            "Micro Hei" => FontTweak { scale: 0.96, ..FontTweak::default() },
            _ => FontTweak::default(),
        };
        fonts.font_data.insert(name.to_owned(), FontData::from_static(bytes).tweak(tweak).into());
    }
    let family = |first: &[&str]| {
        first.iter().chain(&["Micro Hei", "Symbola"]).map(|n| (*n).to_owned()).collect::<Vec<_>>()
    };
    fonts.families.insert(FontFamily::Proportional, family(&["Inter"]));
    fonts.families.insert(crate::theme::strong_family(), family(&["Inter SemiBold", "Inter"]));
    fonts.families.insert(FontFamily::Monospace, family(&["JetBrains Mono", "Inter"]));
    fonts
}

/// `text` with every character that no font can draw replaced by its code point, and every
/// control character by its escape: what is on screen is never an empty box, nor nothing.
pub fn drawable<'a>(ctx: &Context, font: &FontId, text: &'a str) -> Cow<'a, str> {
    ctx.fonts_mut(|fonts| {
        let fits = |fonts: &mut egui::epaint::text::FontsView<'_>, c: char| {
            !c.is_control() && (c == ' ' || is_joiner(c) || fonts.has_glyph(font, c))
        };
        if text.chars().all(|c| fits(fonts, c)) {
            return Cow::Borrowed(text);
        }
        let mut out = String::with_capacity(text.len() + 8);
        for c in text.chars() {
            match c {
                '\n' => out.push('↵'),
                '\t' => out.push('⇥'),
                c if fits(fonts, c) => out.push(c),
                c => {
                    let _ = write!(out, "U+{:04X}", c as u32);
                }
            }
        }
        Cow::Owned(out)
    })
}

/// Characters that join or vary their neighbours and have no shape of their own.
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200d}' | '\u{fe00}'..='\u{fe0f}')
}
