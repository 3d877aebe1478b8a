//! What the circuit screen's task looks like when it is set up.

use super::fixture;
use sparsescope::forms::TaskForm;
use sparsescope::state::{Prepared, State};
use sparsescope_core::circuits::{Answers, Estimate, Pair, Task};
use sparsescope_core::llama::Site;
use sparsescope_core::workspace::{CircuitRecord, RunStatus, TaskRecord};
use std::sync::Arc;

/// Pairs of agreement across a phrase, one of which cannot be used.
pub fn task() -> Task {
    let one = |s: &str| Answers::One(s.to_owned());
    let pair = |clean: &str, patch: &str, right: &str, wrong: &str, case: &str| Pair {
        clean_prefix: clean.to_owned(),
        patch_prefix: Some(patch.to_owned()),
        clean_answer: one(right),
        patch_answer: Some(one(wrong)),
        case: case.to_owned(),
    };
    let mut pairs = Vec::new();
    for (noun, many) in [("pilot", "pilots"), ("baker", "bakers"), ("nurse", "nurses")] {
        for (near, what) in [("near the car", "singular"), ("behind the houses", "plural")] {
            let (a, b) = (format!("The {noun} {near}"), format!("The {many} {near}"));
            pairs.push(pair(&a, &b, " is", " are", &format!("singular_{what}")));
            pairs.push(pair(&b, &a, " are", " is", &format!("plural_{what}")));
        }
    }
    pairs[3].clean_answer = Answers::Several(vec![" are".to_owned(), " were".to_owned()]);
    pairs[4].patch_prefix = Some("The very old bakers near the car".to_owned());
    Task { name: "world:across-pp".to_owned(), pairs }
}

/// The task chosen and looked at, dictionaries at most sites, two circuits found before.
pub fn chosen(state: &mut State, form: &mut TaskForm) {
    let task = task();
    form.show(&task);
    let asked = (task.clone(), form.spec.metric.clone(), form.spec.change);
    let facts = state.model.facts.clone().unwrap_or_default();
    let shown = &mut state.circuit.task;
    shown.asked = Some(asked);
    let mut why = vec![None; task.pairs.len()];
    why[4] = Some("The clean and the patch prompt have different numbers of tokens.");
    shown.prepared = Some(Arc::new(Prepared {
        why,
        left_out: [("lengths differ", 1)].into(),
        usable: 11,
        lengths: [(5, 6), (6, 5)].into(),
        measured: 11,
        right: 11,
        metric: Estimate { mean: 6.214, error: 0.181 },
        patched: Some(Estimate { mean: -6.107, error: 0.202 }),
    }));
    shown.tasks = vec![TaskRecord { id: 1, name: "mine".into(), hash: "h".into(), pairs: 40 }];
    let record = |id: i64, name: &str, model: &str| CircuitRecord {
        id,
        name: name.to_owned(),
        model: model.to_owned(),
        task: "world:across-pp".to_owned(),
        method: "ig".to_owned(),
        nodes: 214,
        edges: 1880,
        created: 1_770_000_000,
    };
    shown.circuits = vec![
        record(2, "Across a phrase by ig", &facts.hash),
        record(1, "world:simple by atp", "other"),
    ];
    shown.listed = true;
    state.circuit.id = Some(2);
    let sites = Site::all(facts.layers);
    for (i, site) in sites.iter().enumerate().skip(2) {
        let mut record = fixture::record(i as i64 + 10, RunStatus::Done, 1_000_000);
        record.site = *site;
        record.model.clone_from(&facts.hash);
        record.evaluation = Some(fixture::evaluation());
        state.train.runs.push(record);
    }
}
