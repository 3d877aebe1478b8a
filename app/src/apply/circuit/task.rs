//! What the circuit screen asks for of the task and of finding a circuit, and what comes back.

use crate::app::Sparsescope;
use crate::commands::{Command, FindRequest, TaskCommand};
use crate::events::{CircuitEvent, Event, TaskEvent};
use crate::forms::CircuitPart;
use crate::jobs::Kind;
use crate::state::{NoticeText, Screen};
use crate::work::browse::Wanted;
use crate::work::circuit::OpenedCircuit;
use crate::work::{self};
use egui::Context;
use sparsescope_core::Result;
use sparsescope_core::circuits::{Aggregation, Change, Metric, Task};
use sparsescope_core::jobs::JobContext;
use sparsescope_core::workspace::Workspace;
use std::sync::Arc;

impl Sparsescope {
    pub(super) fn apply_task(&mut self, ctx: &Context, command: TaskCommand) {
        match command {
            TaskCommand::World(name, pairs) => {
                // Its prompts are of one pattern: a position means the same in all of them.
                self.forms.circuit.task.spec.aggregation = Aggregation::PerPosition;
                self.read_task(move || Task::world(&name, pairs, 0));
            }
            TaskCommand::Browse => self.browse(ctx, Wanted::Task),
            TaskCommand::Read(path) => self.read_task(move || Task::read(&path)),
            TaskCommand::Prepare(task, metric, change) => self.prepare(task, metric, change),
            TaskCommand::TrainMissing(tokens) => self.train_missing(tokens),
            TaskCommand::Find => self.find_circuit(),
            TaskCommand::Open(id) => self.open_circuit(id),
            TaskCommand::Show(id) => {
                let workspace = self.state.workspace.clone();
                self.read_task(move || Workspace::open(&workspace)?.task(id));
            }
            TaskCommand::List => self.list_circuits(|_| Ok(())),
            TaskCommand::Save(task) => {
                self.list_circuits(move |db| db.save_task(&task).map(|_| ()));
            }
            TaskCommand::Forget(id) => self.list_circuits(move |db| db.delete_task(id)),
            TaskCommand::Rename(id, name) => {
                self.list_circuits(move |db| db.rename_circuit(id, &name));
            }
            TaskCommand::Delete(id) => {
                if self.state.circuit.id == Some(id) {
                    // It stays on screen, but is nowhere kept any more.
                    self.state.circuit.id = None;
                }
                self.list_circuits(move |db| db.delete_circuit(id));
            }
        }
    }

    /// Changes something in the workspace, and reads what it has then.
    pub(in crate::apply) fn list_circuits(
        &mut self,
        change: impl FnOnce(&Workspace) -> Result<()> + Send + 'static,
    ) {
        let workspace = self.state.workspace.clone();
        self.jobs.start(
            Kind::Workspace,
            "Read tasks and circuits",
            move |_: &JobContext| {
                let db = Workspace::open(&workspace)?;
                change(&db)?;
                Ok((db.list_tasks()?, db.list_circuits()?))
            },
            |()| None,
            |outcome| Some(Event::Circuit(CircuitEvent::Task(TaskEvent::Listed(outcome)))),
        );
    }

    fn read_task(&mut self, read: impl FnOnce() -> Result<Task> + Send + 'static) {
        self.state.circuit.failure = None;
        self.jobs.start(
            Kind::Workspace,
            "Read a task",
            move |_: &JobContext| read(),
            |()| None,
            |outcome| Some(Event::Circuit(CircuitEvent::Task(TaskEvent::Read(outcome)))),
        );
    }

    fn prepare(&mut self, task: Task, metric: Metric, change: Change) {
        let Some(model) = self.model.clone() else { return };
        let state = &mut self.state.circuit.task;
        state.pending = true;
        state.asked = Some((task.clone(), metric.clone(), change));
        self.jobs.start(
            Kind::Prepare,
            "Look at the pairs",
            move |ctx| work::circuit::prepare(ctx, &model, &task, &metric, change),
            |()| None,
            |outcome| Some(Event::Circuit(CircuitEvent::Task(TaskEvent::Prepared(outcome)))),
        );
    }

    fn train_missing(&mut self, tokens: Option<u64>) {
        let form = &mut self.forms.circuit.task;
        form.tokens = tokens.unwrap_or(form.tokens);
        let Some(facts) = &self.state.model.facts else { return };
        let sites = work::circuit::without(facts, &self.state.train.runs);
        if let Some(request) = self.forms.circuit.task.sweep(&self.forms.data, facts, &sites) {
            self.ask(Command::Sweep(Box::new(request)));
        }
    }

    fn find_circuit(&mut self) {
        let (Some(model), Some(facts)) = (self.model.clone(), &self.state.model.facts) else {
            return;
        };
        let form = &self.forms.circuit.task;
        let request = FindRequest {
            task: form.task(),
            spec: form.spec.clone(),
            choice: form.choice(facts.layers, &facts.hash, &self.state.train.runs),
            edges: form.edges,
            anyway: form.anyway,
            model_name: facts.name.clone(),
        };
        self.state.circuit.failure = None;
        let (workspace, bases) = (self.state.workspace.clone(), self.bases.clone());
        self.jobs.start(
            Kind::Find,
            format!("Find the circuit of {}", request.task.name),
            move |ctx| work::circuit::find(ctx, &workspace, &bases, &model, &request),
            |()| None,
            |outcome| Some(Event::Circuit(CircuitEvent::Task(TaskEvent::Found(outcome)))),
        );
    }

    /// Looks for the task of a circuit that came from a file.
    pub(super) fn find_origin(&mut self) {
        let state = &self.state.circuit;
        let Some(circuit) = &state.circuit else { return };
        let (version, hash) = (state.version, circuit.conventions.task.hash.clone());
        let workspace = self.state.workspace.clone();
        self.jobs.start(
            Kind::Workspace,
            "Look for the circuit's task",
            move |_: &JobContext| Workspace::open(&workspace)?.task_of(&hash),
            |()| None,
            move |outcome| {
                Some(Event::Circuit(CircuitEvent::Task(TaskEvent::Origin(version, outcome))))
            },
        );
    }

    /// The built-in world knows what its words are about: the nodes of its circuits get names.
    fn name_nodes(&mut self) {
        let builtin = self.state.model.facts.as_ref().is_some_and(|facts| facts.path.is_none());
        let (Some(model), Some(circuit)) = (self.model.clone(), self.state.circuit.circuit.clone())
        else {
            return;
        };
        if !builtin || circuit.conventions.saes.values().all(Option::is_none) {
            return;
        }
        let (workspace, bases) = (self.state.workspace.clone(), self.bases.clone());
        self.jobs.start(
            Kind::Label,
            "Compare nodes with the world's truth",
            move |ctx| work::circuit::name_nodes(ctx, &workspace, &bases, &model, &circuit),
            |()| None,
            |outcome| Some(Event::Circuit(CircuitEvent::Task(TaskEvent::Named(outcome)))),
        );
    }

    fn open_circuit(&mut self, id: i64) {
        self.state.circuit.failure = None;
        let workspace = self.state.workspace.clone();
        self.jobs.start(
            Kind::Workspace,
            "Open a circuit",
            move |_: &JobContext| work::circuit::open(&workspace, id),
            |()| None,
            |outcome| Some(Event::Circuit(CircuitEvent::Task(TaskEvent::Opened(outcome)))),
        );
    }

    pub(super) fn hear_task(&mut self, event: TaskEvent) {
        let state = &mut self.state.circuit;
        match event {
            TaskEvent::Read(Ok(task)) => {
                self.forms.circuit.task.show(&task);
                self.forms.circuit.part = CircuitPart::Task;
                state.task.asked = None;
                state.task.prepared = None;
            }
            TaskEvent::Prepared(Ok(prepared)) => {
                state.task.pending = false;
                state.task.prepared = Some(Arc::new(prepared));
            }
            TaskEvent::Listed(Ok((tasks, circuits))) => {
                state.task.tasks = tasks;
                state.task.circuits = circuits;
                state.task.listed = true;
            }
            TaskEvent::Found(Ok(opened)) => {
                let said = format!(
                    "Found a circuit of {} nodes; it is kept in the workspace",
                    opened.circuit.nodes.len()
                );
                self.show_circuit(opened);
                self.say(NoticeText::Good(said));
                self.list_circuits(|_| Ok(()));
                self.name_nodes();
            }
            // What is known of the nodes is read anew.
            TaskEvent::Named(Ok(written)) => {
                if written > 0 {
                    state.graph.known = None;
                }
            }
            TaskEvent::Origin(version, Ok(task)) => {
                if version == state.version {
                    state.origin = task.map(Arc::new);
                }
            }
            TaskEvent::Named(Err(error)) if error.is_cancelled() => {}
            TaskEvent::Opened(Ok(opened)) => {
                self.show_circuit(opened);
                self.list_circuits(|_| Ok(()));
            }
            TaskEvent::Prepared(Err(error)) if error.is_cancelled() => {}
            TaskEvent::Prepared(Err(error)) => {
                state.task.pending = false;
                state.task.prepared = None;
                state.failure = Some(error);
            }
            TaskEvent::Found(Err(error)) if error.is_cancelled() => {}
            TaskEvent::Read(Err(error))
            | TaskEvent::Found(Err(error))
            | TaskEvent::Listed(Err(error))
            | TaskEvent::Named(Err(error))
            | TaskEvent::Origin(_, Err(error))
            | TaskEvent::Opened(Err(error)) => state.failure = Some(error),
        }
    }

    fn show_circuit(&mut self, opened: OpenedCircuit) {
        let state = &mut self.state.circuit;
        state.circuit = Some(opened.circuit);
        state.origin = opened.task.map(Arc::new);
        state.id = opened.id;
        state.version += 1;
        self.forms.circuit.part = CircuitPart::Graph;
        self.state.screen = Screen::Circuit;
    }
}
