//! The system's own dialogs. They may hang, or not be there: always on a thread of their own.

use crate::commands::{
    CircuitCommand, Command, GraphCommand, LabelsCommand, LatentCommand, ShiftCommand, ShiftFile,
    SteerCommand,
};
use crate::widgets::graph::Figure;
use crossbeam_channel::Sender;
use sparsescope_core::exchange::Format;
use std::sync::Arc;

/// What to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// A model's folder.
    Model,
    /// A text.
    Text,
    /// A file of labels.
    Labels,
    /// A file of pairs.
    Task,
    /// A file of edits.
    Edits,
    /// A file of texts with labels.
    LabelledTexts,
}

/// Asks where to save a picture; the answer comes back as a command.
pub fn ask_picture(
    rect: Option<egui::Rect>,
    name: String,
    sender: Sender<Command>,
    wake: Arc<dyn Fn() + Send + Sync>,
) {
    std::thread::spawn(move || {
        let chosen = rfd::FileDialog::new()
            .set_title("Save a picture")
            .set_file_name(name)
            .add_filter("SVG", &["svg"])
            .add_filter("PNG", &["png"])
            .save_file();
        if let Some(path) = chosen {
            let _ = sender.send(Command::TakePicture(rect, path));
            wake();
        }
    });
}

/// Asks where to write features for others; the answer comes back as a command.
pub fn ask_hand_out(
    latent: Option<u32>,
    format: Format,
    name: String,
    sender: Sender<Command>,
    wake: Arc<dyn Fn() + Send + Sync>,
) {
    std::thread::spawn(move || {
        let dialog = rfd::FileDialog::new().set_title("Write features for others");
        let chosen = match format {
            Format::Html => dialog.set_file_name(name).add_filter("HTML", &["html"]).save_file(),
            Format::Neuronpedia => dialog.pick_folder().map(|folder| folder.join(name)),
        };
        if let Some(path) = chosen {
            let command = LatentCommand::HandOutTo(latent, format, path);
            let _ = sender.send(Command::OfLatent(command));
            wake();
        }
    });
}

/// Opens a dialog; what is chosen comes back as a command.
pub fn ask(wanted: Wanted, sender: Sender<Command>, wake: Arc<dyn Fn() + Send + Sync>) {
    // The thread is let go of: a dialog that never answers must not hold up the program's end.
    std::thread::spawn(move || {
        let chosen = match wanted {
            Wanted::Model => {
                rfd::FileDialog::new().set_title("Open a Llama's folder").pick_folder()
            }
            Wanted::Text => rfd::FileDialog::new()
                .set_title("Open a text")
                .add_filter("Text", &["txt", "jsonl", "ndjson", "md"])
                .pick_file(),
            Wanted::Labels => rfd::FileDialog::new()
                .set_title("Take labels from a file")
                .add_filter("Labels", &["json", "jsonl", "ndjson", "csv"])
                .pick_file(),
            Wanted::Task => rfd::FileDialog::new()
                .set_title("Open pairs of prompts, or a circuit")
                .add_filter("Pairs or a circuit", &["json", "jsonl", "ndjson"])
                .pick_file(),
            Wanted::Edits => rfd::FileDialog::new()
                .set_title("Open a file of edits")
                .add_filter("Edits", &["json", "txt", "edits"])
                .pick_file(),
            Wanted::LabelledTexts => rfd::FileDialog::new()
                .set_title("Open texts with two labels")
                .add_filter("Texts with labels", &["csv", "tsv", "jsonl", "ndjson"])
                .pick_file(),
        };
        if let Some(path) = chosen {
            let command = match wanted {
                Wanted::Labels => Command::Labels(LabelsCommand::Import(path)),
                Wanted::Edits => Command::Steer(SteerCommand::Read(path)),
                Wanted::LabelledTexts => Command::Shift(ShiftCommand::Texts(path)),
                // What it is, its contents say.
                Wanted::Model | Wanted::Text | Wanted::Task => Command::Open(path),
            };
            // The window may be gone by now.
            let _ = sender.send(command);
            wake();
        }
    });
}

/// Asks where to write edits; the answer comes back as a command.
pub fn ask_edits(name: String, sender: Sender<Command>, wake: Arc<dyn Fn() + Send + Sync>) {
    std::thread::spawn(move || {
        let name = if name.trim().is_empty() { "edits" } else { name.trim() };
        let chosen = rfd::FileDialog::new()
            .set_title("Write the edits")
            .set_file_name(format!("{name}.json"))
            .add_filter("Edits", &["json"])
            .save_file();
        if let Some(path) = chosen {
            let _ = sender.send(Command::Steer(SteerCommand::ExportTo(path)));
            wake();
        }
    });
}

/// What is asked for of a circuit's files.
pub enum CircuitFile {
    /// Where to save this figure.
    Figure(Box<Figure>),
    /// Where to save the circuit.
    Save,
    /// Which to open.
    Open,
}

/// Asks for a file of a circuit; the answer comes back as a command.
pub fn ask_circuit(what: CircuitFile, sender: Sender<Command>, wake: Arc<dyn Fn() + Send + Sync>) {
    std::thread::spawn(move || {
        let dialog = rfd::FileDialog::new();
        let command = match what {
            CircuitFile::Figure(figure) => dialog
                .set_title("Save a figure")
                .set_file_name("circuit.svg")
                .add_filter("SVG", &["svg"])
                .add_filter("PNG", &["png"])
                .save_file()
                .map(|path| GraphCommand::SaveFigureTo(figure, path)),
            CircuitFile::Save => dialog
                .set_title("Save the circuit")
                .set_file_name("circuit.json")
                .add_filter("Circuit, or attribution graph (.graph.json)", &["json"])
                .save_file()
                .map(GraphCommand::SaveFileTo),
            CircuitFile::Open => dialog
                .set_title("Open a circuit or an attribution graph")
                .add_filter("Circuit or attribution graph", &["json"])
                .pick_file()
                .map(GraphCommand::OpenFileAt),
        };
        if let Some(command) = command {
            let _ = sender.send(Command::Circuit(CircuitCommand::Graph(command)));
            wake();
        }
    });
}

/// Asks for a file of a SHIFT study; the answer comes back as a command.
pub fn ask_shift(file: ShiftFile, sender: Sender<Command>, wake: Arc<dyn Fn() + Send + Sync>) {
    std::thread::spawn(move || {
        let dialog = rfd::FileDialog::new();
        let path = match file {
            ShiftFile::Csv => dialog
                .set_title("Save the table")
                .set_file_name("shift.csv")
                .add_filter("CSV", &["csv"])
                .save_file(),
            ShiftFile::Page => dialog
                .set_title("Save the study as a page")
                .set_file_name("shift.html")
                .add_filter("HTML", &["html"])
                .save_file(),
            ShiftFile::SaveEdits => dialog
                .set_title("Save the trim as a set of edits")
                .set_file_name("trim.json")
                .add_filter("Edits", &["json"])
                .save_file(),
            ShiftFile::SaveJudgements => dialog
                .set_title("Save the judgements")
                .set_file_name("judgements.json")
                .add_filter("Judgements", &["json"])
                .save_file(),
            ShiftFile::OpenEdits => dialog
                .set_title("Trim what a set of edits ablates")
                .add_filter("Edits", &["json", "txt", "edits"])
                .pick_file(),
            ShiftFile::OpenJudgements => dialog
                .set_title("Take judgements from a file")
                .add_filter("Judgements", &["json"])
                .pick_file(),
        };
        if let Some(path) = path {
            let _ = sender.send(Command::Shift(ShiftCommand::To(file, path)));
            wake();
        }
    });
}
