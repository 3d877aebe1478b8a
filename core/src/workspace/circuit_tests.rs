//! Circuits and tasks survive the program.

use super::Workspace;
use crate::circuits::{Answers, Circuit, CircuitNode, Estimate, Pair, Task};

fn task(name: &str, noun: &str) -> Task {
    let pair = Pair {
        clean_prefix: format!("The {noun}"),
        patch_prefix: Some(format!("The {noun}s")),
        clean_answer: Answers::One(" is".into()),
        patch_answer: Some(Answers::Several(vec![" are".into(), " were".into()])),
        case: "singular".into(),
    };
    Task { name: name.into(), pairs: vec![pair] }
}

fn circuit(task: &Task) -> Circuit {
    let mut circuit = Circuit::default();
    circuit.conventions.task.name.clone_from(&task.name);
    circuit.conventions.task.hash = task.hash();
    circuit.conventions.saes.insert("resid.0".parse().unwrap(), Some("ab".into()));
    circuit.nodes.push(CircuitNode {
        node: "resid.0/3@2".parse().unwrap(),
        // A number that no short decimal is.
        effect: Estimate { mean: 1.0 / 3.0, error: f64::MIN_POSITIVE },
        clean: 0.1,
        patch: 0.0,
        exact: None,
        stability: Some(0.5),
    });
    circuit
}

#[test]
fn a_circuit_comes_back_as_it_was_with_its_task_and_its_view() {
    let dir = tempfile::tempdir().unwrap();
    let (task, other) = (task("agreement", "man"), task("other", "dog"));
    let made = circuit(&task);
    let id = {
        let db = Workspace::open(dir.path()).unwrap();
        db.save_task(&other).unwrap();
        db.save_circuit("mine", &made, Some(&task)).unwrap()
    };
    let db = Workspace::open(dir.path()).unwrap();
    assert_eq!(db.circuit(id).unwrap(), made);
    assert_eq!(db.task_of(&task.hash()).unwrap().as_ref(), Some(&task));
    // Only what a person saved is listed.
    let listed: Vec<String> = db.list_tasks().unwrap().into_iter().map(|t| t.name).collect();
    assert_eq!(listed, ["other"]);
    assert_eq!(db.circuit_view::<Vec<u32>>(id).unwrap(), None);
    db.save_circuit_view(id, &vec![1u32, 2]).unwrap();
    assert_eq!(db.circuit_view::<Vec<u32>>(id).unwrap(), Some(vec![1, 2]));
    // A view that another version wrote is none.
    assert_eq!(db.circuit_view::<String>(id).unwrap(), None);
    db.rename_circuit(id, " yours ").unwrap();
    assert!(db.rename_circuit(id, " ").is_err());
    let record = &db.list_circuits().unwrap()[0];
    assert_eq!(
        (record.name.as_str(), record.nodes, record.task.as_str()),
        ("yours", 1, "agreement")
    );
}

#[test]
fn a_task_lives_as_long_as_it_is_listed_or_a_circuit_needs_it() {
    let dir = tempfile::tempdir().unwrap();
    let db = Workspace::open(dir.path()).unwrap();
    let task = task("agreement", "man");
    let listed = db.save_task(&task).unwrap();
    // The same pairs under another name are the same task.
    let renamed = Task { name: "renamed".into(), ..task.clone() };
    assert_eq!(db.save_task(&renamed).unwrap(), listed);
    assert_eq!(db.list_tasks().unwrap()[0].name, "renamed");
    let id = db.save_circuit("mine", &circuit(&task), Some(&task)).unwrap();
    assert_eq!(
        db.task(listed).unwrap().name,
        "renamed",
        "a circuit does not rename what is listed"
    );
    db.delete_task(listed).unwrap();
    assert!(db.list_tasks().unwrap().is_empty());
    assert!(db.task_of(&task.hash()).unwrap().is_some(), "the circuit still needs it");
    db.delete_circuit(id).unwrap();
    assert!(db.task_of(&task.hash()).unwrap().is_none());
    assert!(db.circuit(id).is_err() && db.delete_circuit(id).is_err());
}
