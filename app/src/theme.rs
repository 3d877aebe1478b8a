//! Colours, type and spacing; the only place where a colour is written down.

use egui::style::{Selection, WidgetVisuals, Widgets};
use egui::{
    Color32, Context, CornerRadius, FontFamily, FontId, Margin, Shadow, Stroke, Style, TextStyle,
    Theme, Ui, Visuals, vec2,
};

/// Every colour of the window, by what it is for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Palette {
    /// Behind everything.
    pub ground: Color32,
    /// Rail, job bar and inspector.
    pub side: Color32,
    /// Cards.
    pub card: Color32,
    /// Wells that something is typed or drawn into.
    pub well: Color32,
    /// A row or a token under the pointer.
    pub hover: Color32,
    /// Hairlines.
    pub line: Color32,
    /// Text.
    pub text: Color32,
    /// Text of second rank.
    pub weak: Color32,
    /// Text of third rank, ticks, disabled things.
    pub faint: Color32,
    /// What can be pressed, what is selected.
    pub accent: Color32,
    /// The ground of a selected thing.
    pub accent_ground: Color32,
    /// Text on `accent`.
    pub on_accent: Color32,
    /// An activation at its greatest.
    pub glow: Color32,
    /// Good.
    pub good: Color32,
    /// Take care.
    pub warn: Color32,
    /// Failed.
    pub bad: Color32,
    /// Curves, in the order they are given out.
    pub series: [Color32; 6],
    /// From little to much, told apart by lightness alone too.
    pub ramp: [Color32; 5],
    /// A value below zero at its greatest.
    pub below: Color32,
    /// A value above zero at its greatest.
    pub above: Color32,
}

const DARK: Palette = Palette {
    ground: Color32::from_rgb(0x10, 0x14, 0x1b),
    side: Color32::from_rgb(0x0b, 0x0e, 0x14),
    card: Color32::from_rgb(0x18, 0x1e, 0x28),
    well: Color32::from_rgb(0x0d, 0x11, 0x18),
    hover: Color32::from_rgb(0x22, 0x2b, 0x38),
    line: Color32::from_rgb(0x29, 0x32, 0x40),
    text: Color32::from_rgb(0xe6, 0xec, 0xf4),
    weak: Color32::from_rgb(0x97, 0xa4, 0xb6),
    faint: Color32::from_rgb(0x69, 0x77, 0x8a),
    accent: Color32::from_rgb(0x4f, 0xc3, 0xd9),
    accent_ground: Color32::from_rgb(0x15, 0x33, 0x3f),
    on_accent: Color32::from_rgb(0x04, 0x1c, 0x24),
    glow: Color32::from_rgb(0xff, 0xa6, 0x3d),
    good: Color32::from_rgb(0x6c, 0xd3, 0x92),
    warn: Color32::from_rgb(0xf2, 0xbe, 0x57),
    bad: Color32::from_rgb(0xff, 0x7b, 0x72),
    series: [
        Color32::from_rgb(0x4f, 0xc3, 0xd9),
        Color32::from_rgb(0xff, 0xa6, 0x3d),
        Color32::from_rgb(0xb4, 0x96, 0xff),
        Color32::from_rgb(0xff, 0x7b, 0x9c),
        Color32::from_rgb(0x6c, 0xd3, 0x92),
        Color32::from_rgb(0x8c, 0xa9, 0xd0),
    ],
    ramp: [
        Color32::from_rgb(0x46, 0x4f, 0x9a),
        Color32::from_rgb(0x36, 0x82, 0xa6),
        Color32::from_rgb(0x2f, 0xb0, 0x94),
        Color32::from_rgb(0x94, 0xd4, 0x56),
        Color32::from_rgb(0xfd, 0xe9, 0x5a),
    ],
    below: Color32::from_rgb(0x5a, 0x9b, 0xff),
    above: Color32::from_rgb(0xff, 0xb0, 0x4a),
};

const LIGHT: Palette = Palette {
    ground: Color32::from_rgb(0xf4, 0xf6, 0xf9),
    side: Color32::from_rgb(0xe9, 0xed, 0xf2),
    card: Color32::from_rgb(0xff, 0xff, 0xff),
    well: Color32::from_rgb(0xf6, 0xf8, 0xfb),
    hover: Color32::from_rgb(0xe6, 0xec, 0xf3),
    line: Color32::from_rgb(0xd5, 0xdc, 0xe5),
    text: Color32::from_rgb(0x17, 0x1f, 0x2b),
    weak: Color32::from_rgb(0x52, 0x60, 0x73),
    faint: Color32::from_rgb(0x80, 0x8d, 0x9e),
    accent: Color32::from_rgb(0x06, 0x7a, 0x94),
    accent_ground: Color32::from_rgb(0xd5, 0xec, 0xf2),
    on_accent: Color32::from_rgb(0xff, 0xff, 0xff),
    glow: Color32::from_rgb(0xff, 0x9a, 0x1f),
    good: Color32::from_rgb(0x1b, 0x87, 0x4b),
    warn: Color32::from_rgb(0xa6, 0x66, 0x00),
    bad: Color32::from_rgb(0xc7, 0x2c, 0x2c),
    series: [
        Color32::from_rgb(0x06, 0x7a, 0x94),
        Color32::from_rgb(0xd0, 0x6a, 0x00),
        Color32::from_rgb(0x6f, 0x4c, 0xd1),
        Color32::from_rgb(0xc2, 0x2f, 0x5c),
        Color32::from_rgb(0x1b, 0x87, 0x4b),
        Color32::from_rgb(0x4a, 0x68, 0x93),
    ],
    ramp: [
        Color32::from_rgb(0xc2, 0xc4, 0x3a),
        Color32::from_rgb(0x5f, 0xb0, 0x55),
        Color32::from_rgb(0x24, 0x86, 0x84),
        Color32::from_rgb(0x30, 0x58, 0x89),
        Color32::from_rgb(0x3c, 0x17, 0x58),
    ],
    below: Color32::from_rgb(0x1d, 0x55, 0xb8),
    above: Color32::from_rgb(0xc0, 0x55, 0x00),
};

/// The colours that `ui` is drawn in.
pub fn palette(ui: &Ui) -> &'static Palette {
    of(ui.visuals().dark_mode)
}

/// The colours of the dark or the light theme.
pub fn of(dark: bool) -> &'static Palette {
    if dark { &DARK } else { &LIGHT }
}

impl Palette {
    /// The colour of `share` (0 to 1) of a ramp from little to much.
    pub fn on_ramp(&self, share: f32) -> Color32 {
        let at = share.clamp(0.0, 1.0) * (self.ramp.len() - 1) as f32;
        let i = (at as usize).min(self.ramp.len() - 2);
        self.ramp[i].lerp_to_gamma(self.ramp[i + 1], at - i as f32)
    }

    /// The shade of a token whose activation is `share` (0 to 1) of the greatest.
    pub fn shade(&self, share: f32) -> Color32 {
        let share = share.clamp(0.0, 1.0);
        if share <= 0.0 {
            return Color32::TRANSPARENT;
        }
        // A token that fires at all must be seen to: the scale starts above nothing.
        self.card.lerp_to_gamma(self.glow, 0.12 + 0.78 * share.powf(0.8))
    }

    /// The colour of text on a token of that shade.
    pub fn on_shade(&self, share: f32) -> Color32 {
        let dark_ground = self.card.r() < 0x80;
        match (dark_ground, share > 0.5) {
            (true, true) => Color32::from_rgb(0x1d, 0x10, 0x00),
            _ => self.text,
        }
    }
}

/// The family of headings and figures that must stand out.
pub fn strong_family() -> FontFamily {
    FontFamily::Name("strong".into())
}

/// Sizes of type, in points.
pub mod size {
    /// The title of a screen.
    pub const TITLE: f32 = 24.0;
    /// The head of a card.
    pub const HEAD: f32 = 15.0;
    /// Text.
    pub const BODY: f32 = 14.0;
    /// Notes, axis labels.
    pub const SMALL: f32 = 12.0;
    /// A figure that a screen is about.
    pub const FIGURE: f32 = 22.0;
}

/// Text in the strong weight.
pub fn strong(text: impl Into<String>, size: f32) -> egui::RichText {
    egui::RichText::new(text).font(FontId::new(size, strong_family()))
}

/// Figures and tokens.
pub fn mono(text: impl Into<String>, size: f32) -> egui::RichText {
    egui::RichText::new(text).font(FontId::monospace(size))
}

/// Installs fonts, both themes and the behaviour of the window.
pub fn install(ctx: &Context) {
    ctx.set_fonts(crate::fonts::definitions());
    for theme in [Theme::Dark, Theme::Light] {
        let dark = theme == Theme::Dark;
        ctx.set_style_of(theme, style(of(dark), dark));
    }
}

fn style(p: &Palette, dark: bool) -> Style {
    let text_styles = [
        (TextStyle::Heading, FontId::new(size::TITLE, strong_family())),
        (TextStyle::Body, FontId::proportional(size::BODY)),
        (TextStyle::Button, FontId::proportional(size::BODY)),
        (TextStyle::Small, FontId::proportional(size::SMALL)),
        (TextStyle::Monospace, FontId::monospace(13.0)),
    ]
    .into();
    let mut style = Style { text_styles, visuals: visuals(p, dark), ..Style::default() };
    let s = &mut style.spacing;
    s.item_spacing = vec2(8.0, 6.0);
    s.button_padding = vec2(12.0, 6.0);
    s.interact_size = vec2(32.0, 30.0);
    s.combo_width = 120.0;
    s.slider_width = 140.0;
    s.menu_margin = Margin::same(8);
    s.tooltip_width = 340.0;
    s.scroll = egui::style::ScrollStyle::thin();
    style.interaction.tooltip_delay = 0.25;
    style
}

fn visuals(p: &Palette, dark: bool) -> Visuals {
    let base = if dark { Visuals::dark() } else { Visuals::light() };
    let radius = CornerRadius::same(7);
    let widget = |fill: Color32, edge: Color32, text: Color32| WidgetVisuals {
        bg_fill: fill,
        weak_bg_fill: fill,
        bg_stroke: Stroke::new(1.0, edge),
        fg_stroke: Stroke::new(1.0, text),
        corner_radius: radius,
        expansion: 0.0,
    };
    let raised = if dark { p.hover } else { p.card };
    let mut shadow = Shadow { offset: [0, 6], blur: 20, spread: 0, color: Color32::BLACK };
    shadow.color = Color32::from_black_alpha(if dark { 120 } else { 36 });
    Visuals {
        widgets: Widgets {
            noninteractive: widget(p.card, p.line, p.text),
            inactive: widget(raised, p.line, p.text),
            hovered: widget(p.hover, p.accent, p.text),
            // Also the look of a widget that has the keyboard's focus: its edge must be seen.
            active: WidgetVisuals {
                bg_stroke: Stroke::new(2.0, p.accent),
                ..widget(p.accent_ground, p.accent, p.text)
            },
            open: widget(p.hover, p.accent, p.text),
        },
        selection: Selection { bg_fill: p.accent_ground, stroke: Stroke::new(1.0, p.accent) },
        weak_text_color: Some(p.weak),
        hyperlink_color: p.accent,
        faint_bg_color: p.well,
        extreme_bg_color: p.well,
        code_bg_color: p.well,
        warn_fg_color: p.warn,
        error_fg_color: p.bad,
        window_corner_radius: CornerRadius::same(10),
        window_fill: p.card,
        window_stroke: Stroke::new(1.0, p.line),
        window_shadow: shadow,
        popup_shadow: shadow,
        menu_corner_radius: CornerRadius::same(8),
        panel_fill: p.ground,
        slider_trailing_fill: true,
        handle_shape: egui::style::HandleShape::Circle,
        indent_has_left_vline: false,
        ..base
    }
}

/// A veil over what the pointer is on.
pub fn weak_line(p: &Palette) -> Color32 {
    p.text.gamma_multiply(0.12)
}
