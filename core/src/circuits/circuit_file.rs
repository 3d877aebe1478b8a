//! Circuits as files.

use super::{Circuit, from_json};

use crate::error::{Error, IoContext as _, Result};
use crate::sae::tensors::{put_in_place, write_beside};
use std::io::Write as _;
use std::path::Path;

impl Circuit {
    /// The circuit in the JSON file at `path`, as [`Circuit::write`] leaves it.
    ///
    /// # Errors
    /// No file there, or none that holds a circuit of this program.
    pub fn read(path: &Path) -> Result<Self> {
        let what = || format!("Could not read the circuit in {}", path.display());
        let text = std::fs::read_to_string(path).doing(what)?;
        let (circuit, _) = from_json(&text).map_err(|e| Error { what: what(), ..e })?;
        Ok(circuit)
    }

    /// Writes it to `path`, in the place of what is there.
    ///
    /// # Errors
    /// The file cannot be written; what was there then stays as it was.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|e| Error::internal("The circuit could not be written", e.to_string()))?;
        write_beside(path, |file| file.write_all(text.as_bytes()))?;
        put_in_place(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::circuits::{CircuitEdge, CircuitNode, Estimate};

    fn node(text: &str) -> CircuitNode {
        CircuitNode {
            node: text.parse().unwrap(),
            effect: Estimate { mean: -1.0 / 3.0, error: 0.1 },
            clean: 1.0,
            patch: 0.0,
            exact: None,
            stability: None,
        }
    }

    #[test]
    fn a_circuit_comes_back_as_it_was_and_a_broken_one_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("circuit.json");
        let mut circuit =
            Circuit { nodes: vec![node("embed/1"), node("resid.0/error")], ..Circuit::default() };
        circuit.edges.push(CircuitEdge { from: 0, to: Some(1), weight: 0.25 });
        circuit.edges.push(CircuitEdge { from: 1, to: None, weight: -0.5 });
        circuit.write(&path).unwrap();
        assert_eq!(Circuit::read(&path).unwrap(), circuit);
        circuit.edges[0].to = Some(2);
        circuit.write(&path).unwrap();
        assert!(Circuit::read(&path).unwrap_err().why.contains("an edge from node 0 to 2"));
        std::fs::write(&path, "{\"nodes\": 3}").unwrap();
        let error = Circuit::read(&path).unwrap_err();
        assert!(error.what.contains("circuit.json") && error.remedy.contains("circuit find"));
    }
}
