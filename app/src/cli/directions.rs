//! `directions`: a map of all decoder directions.

use super::eval::folder_of;
use super::report::Report;
use super::{Global, watch};
use clap::{Args, ValueEnum};
use egui::{CentralPanel, Context, Frame, RawInput, Rect, Theme, vec2};
use serde_json::json;
use sparsescope::picture;
use sparsescope::theme;
use sparsescope::widgets::point_cloud::{Cloud, Look, point_cloud};
use sparsescope_core::directions::{
    DirectionMap, MapMethod, TsneSpec, direction_map, load_map, save_map,
};
use sparsescope_core::sae::Sae;
use sparsescope_core::{Error, IoContext as _, Result};
use std::path::{Path, PathBuf};

/// Map all decoder directions of a dictionary in two dimensions
#[derive(Args, Clone)]
#[command(after_help = "\
A t-SNE map is kept in the dictionary's folder, and found there again.

Examples:
  sparsescope directions --sae my-sae --out map.svg
  sparsescope directions --sae my-sae --method tsne --out map.png
  sparsescope directions --sae my-sae --method tsne --json")]
pub struct DirectionsArgs {
    /// Folder of the dictionary
    #[arg(long, value_name = "PATH")]
    sae: PathBuf,
    /// How directions are laid out
    #[arg(long, value_enum, default_value_t = Method::Pca)]
    method: Method,
    /// Where to write the map: .svg, .png or .json
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Method {
    /// The first two principal components
    Pca,
    /// t-SNE by cosine
    Tsne,
}

/// Maps.
///
/// # Errors
/// The dictionary cannot be read, the file cannot be written; cancelled.
pub fn run(args: &DirectionsArgs, global: &Global) -> Result<Report> {
    let (asked, seed) = (args.clone(), global.seed());
    let map = watch::quietly("Map directions", move |ctx| {
        let dir = folder_of(&asked.sae);
        let sae = Sae::load(dir)?;
        let Method::Tsne = asked.method else {
            return direction_map(ctx, &sae, MapMethod::Pca);
        };
        let spec = TsneSpec { seed, ..TsneSpec::default() };
        if let Ok(Some(kept)) = load_map(dir, &sae, spec) {
            return Ok(kept);
        }
        let map = direction_map(ctx, &sae, MapMethod::Tsne(spec))?;
        save_map(dir, &sae, &map)?;
        Ok(map)
    })?;
    let points: Vec<_> = map.points.iter().map(|p| p[0].is_finite().then_some(p)).collect();
    let json = json!({
        "sae": args.sae,
        "method": match map.method { MapMethod::Pca => "pca", MapMethod::Tsne(_) => "tsne" },
        "said": map.said(),
        "explained": map.explained,
        "points": points,
    });
    let mut text = map.said() + "\n";
    if let Some(out) = &args.out {
        if out.extension().is_some_and(|e| e.eq_ignore_ascii_case("json")) {
            let bytes = json.to_string();
            std::fs::write(out, bytes).doing(|| format!("Could not write {}", out.display()))?;
        } else {
            draw(&map, out)?;
        }
        text += &format!("It is in {}\n", out.display());
    }
    Report::new(&json, text)
}

/// The map as the window draws it, without a window.
fn draw(map: &DirectionMap, out: &Path) -> Result<()> {
    let ctx = Context::default();
    theme::install(&ctx);
    ctx.set_theme(Theme::Light);
    let size = vec2(1200.0, 900.0);
    let mut cloud = Cloud::default();
    cloud.set(&map.points, 1);
    let color = theme::of(false).series[0].gamma_multiply(0.8);
    let colors = vec![color; map.points.len()];
    let look =
        Look { colors: &colors, found: &[], selected: &[], version: 0, lasso: false, said: "" };
    // The first frame settles the theme, the second is the picture.
    for frame in 0..2 {
        if frame == 1 {
            picture::aim(&ctx, None, out.to_owned());
        }
        let input = RawInput {
            screen_rect: Some(Rect::from_min_size(egui::Pos2::ZERO, size)),
            ..RawInput::default()
        };
        let mut output = ctx.run_ui(input, |ui| {
            let ground = Frame::new().fill(theme::of(false).card);
            CentralPanel::no_frame().frame(ground).show(ui, |ui| {
                point_cloud(ui, &mut cloud, &look, size);
            });
        });
        // There is no card that would have the textures.
        output.textures_delta.clear();
    }
    let taken = picture::developed(&ctx).pop();
    let (taken, path) =
        taken.ok_or_else(|| Error::internal("The map could not be drawn", "no frame was taken"))?;
    picture::save(&taken, &path)
}
