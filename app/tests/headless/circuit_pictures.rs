//! Pictures of the circuit screen.

use super::{wait, window};
use egui::{Theme, Vec2, vec2};
use egui_kittest::{Harness, SnapshotResults};
use sparsescope::app::Sparsescope;
use sparsescope::forms::CircuitPart;
use sparsescope::state::{Screen, State};

/// Lets the window's own first jobs end, then puts a state of the circuit screen in their place.
pub fn still(
    harness: &mut Harness<'_, Sparsescope>,
    part: CircuitPart,
    set: &dyn Fn(&mut Sparsescope),
) {
    wait(harness, "the first jobs", 60, Sparsescope::is_idle);
    let app = harness.state_mut();
    app.hold_still();
    *app.state_mut() = State { screen: Screen::Circuit, ..State::default() };
    app.forms_mut().circuit.part = part;
    set(app);
    harness.run_steps(4);
}

/// A picture of one state.
pub fn picture(
    name: &str,
    (size, density): (Vec2, f32),
    theme: Theme,
    part: CircuitPart,
    set: &dyn Fn(&mut Sparsescope),
) -> SnapshotResults {
    let dir = tempfile::tempdir().unwrap();
    let mut harness = window(dir.path(), size, density, theme);
    still(&mut harness, part, set);
    harness.snapshot(name);
    harness.take_snapshot_results()
}

/// Pictures of one state in both themes.
pub fn both(name: &str, part: CircuitPart, set: &dyn Fn(&mut Sparsescope)) {
    let size = (vec2(1280.0, 800.0), 1.0);
    let mut results = picture(&format!("{name}_dark"), size, Theme::Dark, part, set);
    results.extend(picture(&format!("{name}_light"), size, Theme::Light, part, set));
}
