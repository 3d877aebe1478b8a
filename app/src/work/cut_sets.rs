//! A circuit's cuts as a set of edits, and a set of edits as cuts of a circuit.

use sparsescope_core::circuits::{Circuit, Cut, Recut, cuts_of, edits_of};
use sparsescope_core::steering::EditSet;
use sparsescope_core::workspace::{EditSetRecord, Workspace};
use sparsescope_core::{Error, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// What the set `id` cuts of a circuit, and what the set is called.
///
/// # Errors
/// The set is gone; it was made for another model, or for other dictionaries than the circuit's.
pub fn cuts(workspace: &Path, circuit: &Circuit, id: i64) -> Result<(String, Recut<Cut>)> {
    let set = Workspace::open(workspace)?.edit_set(id)?;
    fits(&set, circuit)?;
    let cuts = cuts_of(&set.edits, circuit.conventions.task.positions);
    Ok((set.name, cuts))
}

/// Keeps cuts as a set of edits: its name, how many cuts no edit can say, and what is kept then.
///
/// # Errors
/// None of the cuts can be said as an edit; the workspace cannot be written.
pub fn keep(
    workspace: &Path,
    circuit: &Circuit,
    name: &str,
    cuts: &[Cut],
) -> Result<(String, usize, Vec<EditSetRecord>)> {
    let edits = edits_of(cuts);
    if edits.made.is_empty() {
        return Err(Error::setting(
            "The cuts were not kept",
            "an edit changes a latent by numbers of its own: it cannot say a mean or another \
             prompt's value, nor change an error",
            "Cut latents to zero, scale them, set them or add to them",
        ));
    }
    let c = &circuit.conventions;
    let edited = |site| edits.made.iter().any(|edit| edit.site == site);
    let dictionaries: BTreeMap<_, _> = c
        .saes
        .iter()
        .filter(|(site, _)| edited(**site))
        .filter_map(|(site, hash)| Some((*site, hash.clone()?)))
        .collect();
    let set = EditSet {
        name: name.to_owned(),
        model: c.model.clone(),
        dictionaries,
        edits: edits.made,
        note: format!("Cut from the circuit of {}", c.task.name),
    };
    let db = Workspace::open(workspace)?;
    db.save_edit_set(&set)?;
    Ok((set.name, edits.left_out, db.list_edit_sets()?))
}

fn fits(set: &EditSet, circuit: &Circuit) -> Result<()> {
    let c = &circuit.conventions;
    let refused = |why: String| {
        let remedy = "Choose a set that was made with the circuit's model and dictionaries";
        Err(Error::setting(format!("The circuit cannot be cut by {:?}", set.name), why, remedy))
    };
    if !set.model.is_empty() && set.model != c.model {
        return refused("it was made for another model".to_owned());
    }
    for edit in &set.edits {
        let site = edit.site;
        match (c.saes.get(&site), set.dictionaries.get(&site)) {
            (None, _) => return refused(format!("the circuit does not look at {site}")),
            (Some(None), _) => {
                return refused(format!(
                    "at {site} the circuit is of coordinates, not of features"
                ));
            }
            (Some(Some(its)), Some(other)) if its != other => {
                return refused(format!("at {site} it was made for another dictionary"));
            }
            _ => {}
        }
    }
    Ok(())
}
