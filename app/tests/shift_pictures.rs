//! Pictures of the SHIFT screen. `UPDATE_SNAPSHOTS=1 cargo test` writes them anew.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must end")]

mod headless;

use egui::{Theme, vec2};
use headless::shifts::{self, both};
use sparsescope::forms::ShiftStep;
use sparsescope_core::Error;

#[test]
fn texts_and_probe() {
    both("shift_data", ShiftStep::Data, &|state, form| shifts::trained(state, form));
}

#[test]
fn what_the_probe_uses() {
    both("shift_circuit", ShiftStep::Circuit, &|state, form| shifts::found(state, form));
}

#[test]
fn judging() {
    both("shift_judge", ShiftStep::Judge, &|state, form| shifts::judged(state, form));
}

#[test]
fn a_feature_that_is_revealed() {
    both("shift_revealed", ShiftStep::Judge, &|state, form| {
        shifts::judged(state, form);
        form.revealed = true;
        state.shift.live.pending = true;
    });
}

#[test]
fn the_table_is_full() {
    both("shift_result", ShiftStep::Result, &|state, form| shifts::filled(state, form));
}

#[test]
fn the_table_is_older_than_the_last_judgement() {
    both("shift_older", ShiftStep::Result, &|state, form| {
        shifts::filled(state, form);
        state.shift.judged.undo();
        state.shift.live.asked = Some((1, Vec::new()));
        state.shift.live.pending = true;
    });
}

#[test]
fn nothing_yet() {
    both("shift_empty", ShiftStep::Judge, &|state, form| shifts::texts(state, form));
}

#[test]
fn a_file_of_three_labels() {
    both("shift_failed", ShiftStep::Data, &|state, form| {
        form.from_file = true;
        form.path = "/home/you/bios.csv".into();
        form.columns.label = "profession".into();
        form.columns.spurious = "gender".into();
        state.shift.asked = form.texts();
        let names = ["id", "text", "profession", "gender"].map(str::to_owned).to_vec();
        let path = "/home/you/bios.csv".into();
        state.shift.columns = Some(sparsescope::work::shift::FileColumns { path, names });
        state.shift.failure = Some(Error::setting(
            "The column \"profession\" does not have two values",
            "its values are \"nurse\" (40), \"professor\" (38), \"model\" (12)",
            "Choose two of these",
        ));
    });
}

#[test]
fn all_at_once() {
    for (theme, name) in [(Theme::Dark, "dark"), (Theme::Light, "light")] {
        let dir = tempfile::tempdir().unwrap();
        let mut harness = headless::window(dir.path(), vec2(2194.0, 1234.0), 1.75, theme);
        shifts::still(&mut harness, ShiftStep::Data, &|state, form| shifts::filled(state, form));
        let picture = harness.render().unwrap();
        // Kept small: what is looked at is where things stand.
        let small = image::imageops::thumbnail(&picture, 960, 540);
        egui_kittest::image_snapshot(&small, format!("shift_4k_{name}"));
        if let Some(to) = std::env::var_os("SPARSESCOPE_PICTURE") {
            picture.save(std::path::Path::new(&to).join(format!("shift_4k_{name}.png"))).unwrap();
        }
    }
}
