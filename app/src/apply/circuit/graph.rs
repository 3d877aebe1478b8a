//! What the circuit screen asks for of the graph, and what comes back.

use crate::app::Sparsescope;
use crate::commands::GraphCommand;
use crate::events::{CircuitEvent, Event, GraphEvent};
use crate::forms::CircuitPart;
use crate::jobs::Kind;
use crate::state::{GraphState, NoticeText, Screen};
use crate::work::{browse, circuit_graph as work, cut_sets};
use egui::Context;
use sparsescope_core::Result;
use sparsescope_core::circuits::{Cut, Imported, Recut};
use sparsescope_core::llama::Site;
use sparsescope_core::workspace::CircuitId;
use std::path::PathBuf;
use std::sync::Arc;

impl Sparsescope {
    pub(super) fn apply_graph(&mut self, ctx: &Context, command: GraphCommand) {
        let ctx = ctx.clone();
        let wake = Arc::new(move || ctx.request_repaint());
        match command {
            GraphCommand::Know => self.know_circuit(),
            GraphCommand::Card(site, latent) => self.read_card(site, latent),
            GraphCommand::OpenFeature(site, latent) => {
                if let Some(id) = self.state.circuit.graph.saes.get(&site).copied() {
                    self.state.features.wanted = Some(latent);
                    self.open_sae(id);
                }
            }
            GraphCommand::KeepView(view) => {
                let Some(id) = self.state.circuit.id else { return };
                let workspace = self.state.workspace.clone();
                self.start_graph(
                    "Keep how a circuit is arranged",
                    move || work::keep_view(&workspace, id, &view),
                    GraphEvent::Kept,
                );
            }
            GraphCommand::SaveFigure(figure) => {
                browse::ask_circuit(browse::CircuitFile::Figure(figure), self.sender.clone(), wake);
            }
            GraphCommand::SaveFigureTo(figure, path) => {
                let draw = move || work::save_figure(&figure, &path).map(|()| path);
                self.start_graph("Save a figure", draw, GraphEvent::Saved);
            }
            GraphCommand::SaveFile => {
                browse::ask_circuit(browse::CircuitFile::Save, self.sender.clone(), wake);
            }
            GraphCommand::SaveFileTo(path) => self.save_circuit_file(path),
            GraphCommand::OpenFile => {
                browse::ask_circuit(browse::CircuitFile::Open, self.sender.clone(), wake);
            }
            GraphCommand::OpenFileAt(path) => {
                let workspace = self.state.workspace.clone();
                let read = move || work::bring_in(&workspace, &path);
                self.start_graph("Open a circuit", read, GraphEvent::Opened);
            }
            GraphCommand::CutBy(id) => self.cut_by(id),
            GraphCommand::KeepCuts(name, cuts) => {
                let Some(circuit) = self.state.circuit.circuit.clone() else { return };
                let workspace = self.state.workspace.clone();
                let keep = move || cut_sets::keep(&workspace, &circuit, &name, &cuts);
                self.start_graph("Keep what is cut", keep, GraphEvent::CutsKept);
            }
            GraphCommand::CompareWith(id) => {
                let workspace = self.state.workspace.clone();
                let read = move || work::other(&workspace, id);
                self.start_graph("Open a circuit", read, GraphEvent::Other);
            }
            GraphCommand::CompareWithNone => {
                self.state.circuit.graph.other = None;
                self.state.circuit.graph.other_failure = None;
            }
        }
    }

    fn start_graph<T: Send + 'static>(
        &mut self,
        name: &str,
        work: impl FnOnce() -> Result<T> + Send + 'static,
        said: fn(Result<T>) -> GraphEvent,
    ) {
        self.jobs.start::<_, ()>(
            Kind::Workspace,
            name,
            move |_| work(),
            |()| None,
            move |outcome| Some(Event::Circuit(CircuitEvent::Graph(said(outcome)))),
        );
    }

    fn cut_by(&mut self, id: i64) {
        let Some(circuit) = self.state.circuit.circuit.clone() else { return };
        let (workspace, version) = (self.state.workspace.clone(), self.state.circuit.version);
        self.jobs.start::<_, ()>(
            Kind::Workspace,
            "Open a set of edits",
            move |_| cut_sets::cuts(&workspace, &circuit, id),
            |()| None,
            move |outcome| {
                Some(Event::Circuit(CircuitEvent::Graph(GraphEvent::CutBy(version, outcome))))
            },
        );
    }

    fn cuts_opened(&mut self, name: &str, cuts: Recut<Cut>) {
        let Some(circuit) = &self.state.circuit.circuit else { return };
        let graph = &mut self.forms.circuit.graph;
        graph.history.change(&format!("cut by {name}"), |view| view.cuts = cuts.made);
        graph.follow(circuit);
        if cuts.left_out > 0 {
            self.say(NoticeText::Good(format!(
                "{} of the edits speak of tokens that these prompts do not have, and were left out",
                cuts.left_out
            )));
        }
    }

    fn know_circuit(&mut self) {
        let version = self.state.circuit.version;
        let old = std::mem::take(&mut self.state.circuit.graph);
        let known_with = self.state.model.facts.as_ref().map(|f| f.hash.clone());
        let mut new = GraphState {
            known: Some(version),
            known_with,
            version: old.version + 1,
            ..GraphState::default()
        };
        if old.known == Some(version) {
            // Looked up again: what was known stays until the answer is there.
            (new.saes, new.labels, new.cards) = (old.saes, old.labels, old.cards);
            new.circuits = old.circuits;
        } else if old.view_of(version).is_some() {
            // Labels that came with its file.
            new.labels = old.labels;
        }
        (new.view, new.other) = (old.view, old.other);
        self.state.circuit.graph = new;
        let Some(circuit) = self.state.circuit.circuit.clone() else { return };
        let (workspace, bases) = (self.state.workspace.clone(), self.bases.clone());
        let (model, id) = (self.model.clone(), self.state.circuit.id);
        self.jobs.start(
            Kind::Workspace,
            "Look up the circuit's labels",
            move |ctx| work::know(ctx, &workspace, &bases, model.as_ref(), &circuit, id),
            |()| None,
            move |outcome| {
                Some(Event::Circuit(CircuitEvent::Graph(GraphEvent::Known(version, outcome))))
            },
        );
    }

    fn read_card(&mut self, site: Site, latent: u32) {
        let graph = &mut self.state.circuit.graph;
        let Some(id) = graph.saes.get(&site).copied() else { return };
        graph.reading = Some((site, latent));
        let workspace = self.state.workspace.clone();
        self.jobs.start::<_, ()>(
            Kind::Card,
            format!("Read latent {latent} at {site}"),
            move |_| work::card(&workspace, id, latent),
            |()| None,
            move |outcome| {
                let event = GraphEvent::Card(site, latent, outcome);
                Some(Event::Circuit(CircuitEvent::Graph(event)))
            },
        );
    }

    fn save_circuit_file(&mut self, path: PathBuf) {
        let Some(circuit) = self.state.circuit.circuit.clone() else { return };
        let view = self.forms.circuit.graph.history.view().clone();
        let labels = work::labels_of(&circuit, &self.state.circuit.graph.labels);
        let graph = work::is_graph(&path);
        let save = move || work::save_file(&circuit, &view, &labels, &path, graph).map(|()| path);
        self.start_graph("Save a circuit", save, GraphEvent::Saved);
    }

    pub(super) fn hear_graph(&mut self, event: GraphEvent) {
        match event {
            GraphEvent::Known(version, outcome) => {
                if version != self.state.circuit.version {
                    return;
                }
                match outcome {
                    Ok(known) => self.circuit_known(version, known),
                    Err(error) => self.failed(error),
                }
            }
            GraphEvent::Card(site, latent, outcome) => {
                let graph = &mut self.state.circuit.graph;
                if graph.reading == Some((site, latent)) {
                    graph.reading = None;
                }
                match outcome {
                    Ok(detail) => _ = graph.cards.insert((site, latent), detail),
                    Err(error) if error.is_cancelled() => {}
                    Err(error) => {
                        // It is not asked for again with every frame.
                        graph.cards.insert((site, latent), None);
                        self.failed(error);
                    }
                }
            }
            GraphEvent::Kept(outcome) => {
                if let Err(error) = outcome {
                    self.failed(error);
                }
            }
            GraphEvent::Saved(outcome) => match outcome {
                Ok(path) => self.say(NoticeText::Good(format!("{} is saved", path.display()))),
                Err(error) => self.failed(error),
            },
            GraphEvent::Opened(outcome) => match outcome {
                Ok((imported, id)) => self.circuit_opened(*imported, id),
                Err(error) => self.failed(error),
            },
            GraphEvent::CutBy(version, outcome) => match outcome {
                // Another circuit may be open by now.
                Ok(_) if version != self.state.circuit.version => {}
                Ok((name, cuts)) => self.cuts_opened(&name, cuts),
                Err(error) => self.failed(error),
            },
            GraphEvent::CutsKept(outcome) => match outcome {
                Ok((name, left_out, sets)) => {
                    self.state.steer.sets = sets;
                    let but = match left_out {
                        0 => String::new(),
                        n => format!(", but for {n} that no edit can say"),
                    };
                    self.say(NoticeText::Good(format!("The cuts are kept as “{name}”{but}")));
                }
                Err(error) => self.failed(error),
            },
            GraphEvent::Other(outcome) => {
                let graph = &mut self.state.circuit.graph;
                match outcome {
                    Ok(other) => {
                        graph.other = Some(other);
                        graph.other_failure = None;
                    }
                    Err(error) if error.is_cancelled() => {}
                    Err(error) => graph.other_failure = Some(error),
                }
            }
        }
    }

    fn circuit_known(&mut self, version: u64, known: work::Known) {
        let graph = &mut self.state.circuit.graph;
        graph.saes = known.saes;
        graph.circuits = known.circuits;
        graph.labels.extend(known.labels);
        graph.version += 1;
        let form = &mut self.forms.circuit.graph;
        // What was arranged before the saved view came is not thrown away for it.
        let untouched = form.of != Some(version) || form.history.version() == 0;
        if let (Some(view), Some(circuit), true) =
            (known.view, self.state.circuit.circuit.clone(), untouched)
        {
            form.begin(&circuit, version, Some(view));
        }
    }

    fn circuit_opened(&mut self, imported: Imported, id: CircuitId) {
        let Imported { circuit, view, labels, notes } = imported;
        let open = &mut self.state.circuit;
        open.version += 1;
        open.id = Some(id);
        open.origin = None;
        open.failure = None;
        open.graph = GraphState {
            view: Some((open.version, view)),
            version: open.graph.version + 1,
            ..GraphState::default()
        };
        for (node, label) in labels {
            if let sparsescope_core::circuits::Unit::Latent(latent) = node.unit {
                open.graph.labels.insert((node.site, latent), label);
            }
        }
        open.circuit = Some(Arc::new(circuit));
        self.find_origin();
        self.list_circuits(|_| Ok(()));
        self.state.screen = Screen::Circuit;
        self.forms.circuit.part = CircuitPart::Graph;
        for note in notes {
            self.say(NoticeText::Good(format!("{note}.")));
        }
    }
}
