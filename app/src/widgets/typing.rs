//! Waiting until a person has stopped typing.

use egui::Ui;

/// Whether what was changed has rested for `seconds`: then it is to be asked about, once. `changed`
/// is when it was last changed, by the window's clock, if nothing was asked since.
pub fn rested(ui: &Ui, changed: &mut Option<f64>, seconds: f64) -> bool {
    let Some(at) = *changed else { return false };
    if ui.input(|i| i.time) - at < seconds {
        ui.ctx().request_repaint_after_secs(seconds as f32);
        return false;
    }
    *changed = None;
    true
}
