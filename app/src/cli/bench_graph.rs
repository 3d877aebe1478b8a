//! `bench graph`: the time that a circuit's graph takes of a frame.

use super::bench_map::at;
use super::report::Report;
use clap::Args;
use egui::{CentralPanel, Context, Event, PointerButton, Pos2, RawInput, Rect, vec2};
use serde_json::json;
use sparsescope::theme;
use sparsescope::widgets::graph::{Canvas, Edge, Graph, Kind, Look, Node, graph};
use sparsescope_core::Result;
use std::time::Instant;

/// A circuit's graph: time a frame, layout and tessellation together
#[derive(Args, Clone)]
#[command(after_help = "\
What a graphics card then does is not counted: the same work is done without a window.

Example:
  sparsescope bench graph --nodes 1000 --edges 5000 --json")]
pub struct GraphArgs {
    /// Nodes
    #[arg(long, default_value_t = 1000, value_name = "N")]
    nodes: usize,
    /// Edges
    #[arg(long, default_value_t = 5000, value_name = "N")]
    edges: usize,
    /// Frames of each kind
    #[arg(long, default_value_t = 200, value_name = "N")]
    frames: usize,
}

/// What happens during the measured frames.
#[derive(Clone, Copy, PartialEq)]
enum Doing {
    /// The pointer moves over it: from node to node.
    Hovering,
    /// It is moved: every frame shows another part.
    Moving,
    /// It is zoomed: every frame at another size.
    Zooming,
}

/// Measures.
///
/// # Errors
/// None.
pub fn run(args: &GraphArgs) -> Result<Report> {
    let ways = [
        ("hovering", "pointer moves over it", Doing::Hovering),
        ("moving", "graph is moved", Doing::Moving),
        ("zooming", "graph is zoomed", Doing::Zooming),
    ];
    let mut json = json!({ "nodes": args.nodes, "edges": args.edges, "frames": args.frames });
    let mut text = format!("A frame with {} nodes and {} edges\n", args.nodes, args.edges);
    for (name, said, doing) in ways {
        let times = measure(args, doing);
        let (median, p95, most) = (at(&times, 0.5), at(&times, 0.95), at(&times, 1.0));
        json[name] = json!({ "median_ms": median, "p95_ms": p95, "max_ms": most });
        text += &format!(
            "{said}: median {median:.2} ms, 95 % within {p95:.2} ms, at most {most:.2} ms\n"
        );
    }
    Report::new(&json, text)
}

/// A graph of 13 rows and 8 columns.
fn made(nodes: usize, edges: usize) -> Graph {
    const ROWS: usize = 13;
    const COLUMNS: usize = 8;
    let value = |i: usize| {
        let size = ((i * 7919 + 13) % 997) as f32 / 997.0;
        size.powi(3) * if i.is_multiple_of(3) { -1.0 } else { 1.0 }
    };
    let mut all: Vec<Node> = (0..nodes)
        .map(|i| Node {
            row: i * 31 % ROWS,
            column: i * 17 / ROWS % COLUMNS,
            value: value(i),
            kind: if i % 13 == 4 { Kind::Error } else { Kind::Latent },
            label: format!("latent {i}"),
        })
        .collect();
    all.push(Node { kind: Kind::Metric, row: ROWS, label: "F".into(), ..Node::default() });
    let from = |i: usize| (i * 7907) % nodes.max(1);
    let edges = (0..edges)
        .map(|i| Edge {
            from: from(i) as u32,
            to: (from(i) + 1 + i * 104_729 % nodes.max(1)).min(nodes) as u32,
            weight: value(i + 5),
        })
        .collect();
    Graph {
        columns: (0..COLUMNS).map(|c| format!("token{c}")).collect(),
        rows: (0..ROWS).map(|r| format!("resid.{r}")).collect(),
        bands: (0..ROWS).map(|r| r / 3).collect(),
        nodes: all,
        edges,
        full: 0.0,
    }
}

/// Milliseconds of each frame, ascending.
fn measure(args: &GraphArgs, doing: Doing) -> Vec<f64> {
    let ctx = Context::default();
    theme::install(&ctx);
    let size = vec2(1600.0, 1000.0);
    let drawing = made(args.nodes, args.edges);
    let mut canvas = Canvas::default();
    let look = Look { marks: &[], version: 0, framing: false, said: "" };
    let middle = Pos2::ZERO + size / 2.0;
    let mut times = Vec::with_capacity(args.frames);
    // A few to warm up: fonts, the theme, the press that begins a drag.
    for frame in 0..args.frames + 5 {
        let turn = frame as f32 * 0.21;
        let mut pointer = middle + vec2(turn.cos(), turn.sin()) * 220.0;
        if doing == Doing::Hovering
            && let Some(at) = canvas.place_of((frame * 37 % args.nodes.max(1)) as u32)
        {
            pointer = at;
        }
        let mut events = vec![Event::PointerMoved(pointer)];
        if frame == 2 && doing == Doing::Moving {
            events.push(Event::PointerButton {
                pos: pointer,
                button: PointerButton::Primary,
                pressed: true,
                modifiers: egui::Modifiers::NONE,
            });
        }
        if doing == Doing::Zooming {
            events.push(Event::Zoom(if (frame / 20).is_multiple_of(2) {
                1.04
            } else {
                1.0 / 1.04
            }));
        }
        let input = RawInput {
            screen_rect: Some(Rect::from_min_size(Pos2::ZERO, size)),
            time: Some(frame as f64 / 60.0),
            events,
            ..RawInput::default()
        };
        let begun = Instant::now();
        let mut output = ctx.run_ui(input, |ui| {
            CentralPanel::no_frame().show(ui, |ui| {
                graph(ui, &mut canvas, &drawing, 1, &look, size);
            });
        });
        let shapes = std::mem::take(&mut output.shapes);
        let drawn = ctx.tessellate(shapes, output.pixels_per_point);
        let took = begun.elapsed().as_secs_f64() * 1e3;
        std::hint::black_box(drawn);
        output.textures_delta.clear();
        if frame >= 5 {
            times.push(took);
        }
    }
    times.sort_by(f64::total_cmp);
    times
}
