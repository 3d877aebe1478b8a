use super::*;
use crate::edits::Edits;
use crate::llama::Site;
use crate::shift::testing::{World, alone, world};
use crate::shift::{ProbeSpec, train_probe, trim};

fn ctx() -> JobContext<()> {
    JobContext::unwatched()
}

fn probe(w: &World, site: Site) -> Probe {
    let spec = ProbeSpec { site, epochs: 3, ..ProbeSpec::default() };
    train_probe(&ctx(), &w.model, &w.bases, &w.split.ambiguous, &[], &spec).unwrap()
}

/// Log-odds of the text's own label, the text run alone.
fn own(w: &World, probe: &Probe, text: &Text, edits: &Edits) -> f64 {
    let rows = alone(&w.model, text, probe.site, &edits.changes());
    let dot: f64 = rows
        .iter()
        .map(|row| row.iter().zip(&probe.weights).map(|(x, w)| x * f64::from(*w)).sum::<f64>())
        .sum();
    let logit = dot / rows.len() as f64 + f64::from(probe.bias);
    if text.label == 0 { logit } else { -logit }
}

/// At the probe's own site its output is linear in the features, so that any method must give what
/// putting the feature to 0 does. The probe stands within a block.
#[test]
fn effects_at_the_probes_site_are_those_of_the_trim() {
    let w = world();
    let probe = probe(&w, Site::Mlp(0));
    let texts = &w.split.ambiguous;
    let spec = CircuitSpec { threshold: 0.0, texts: 100, ..CircuitSpec::default() };
    let circuit = probe_circuit(&ctx(), &w.model, &w.bases, texts, &probe, &spec).unwrap();
    assert!(
        circuit.nodes.iter().all(|node| node.effect.mean > 0.0 && node.node.site <= probe.site)
    );
    assert!(circuit.nodes.is_sorted_by(|a, b| a.effect.mean >= b.effect.mean));
    let mut seen = 0;
    for node in circuit.nodes.iter().filter(|n| is_feature(n) && n.node.site == probe.site) {
        let edits =
            Edits::new(&trim(&[node.node]), &crate::shift::measurer::dictionaries(&w.bases));
        let edits = edits.unwrap();
        let fall =
            |text: &Text| own(&w, &probe, text, &Edits::default()) - own(&w, &probe, text, &edits);
        let wanted = texts.iter().map(fall).sum::<f64>() / texts.len() as f64;
        assert!(
            (node.effect.mean - wanted).abs() < 1e-4,
            "{} {} {wanted}",
            node.node,
            node.effect.mean
        );
        seen += 1;
    }
    assert!(seen > 3, "{seen}");
}

/// Earlier features by a pass each.
#[test]
fn exact_effects_are_those_of_the_trim() {
    let w = world();
    let probe = probe(&w, Site::Attn(1));
    let texts = &w.split.ambiguous[..10];
    let spec =
        CircuitSpec { method: Method::Exact, threshold: 0.0, most: 6, ..CircuitSpec::default() };
    let circuit = probe_circuit(&ctx(), &w.model, &w.bases, texts, &probe, &spec).unwrap();
    assert_eq!(circuit.nodes.iter().filter(|n| is_feature(n)).count(), 6);
    // With summed positions an exact effect is the sum of single positions', so the size is that
    // of the whole trim only nearly; the sign and the order of size are not in doubt.
    let first = &circuit.nodes.iter().find(|n| is_feature(n)).unwrap().node;
    let edits =
        Edits::new(&trim(&[*first]), &crate::shift::measurer::dictionaries(&w.bases)).unwrap();
    let fall =
        |text: &Text| own(&w, &probe, text, &Edits::default()) - own(&w, &probe, text, &edits);
    assert!(texts.iter().map(fall).sum::<f64>() > 0.0);
}

#[test]
fn without_a_dictionary_or_an_effect_it_says_so() {
    let w = world();
    let probe = probe(&w, Site::Resid(1));
    let texts = &w.split.ambiguous;
    let neurons = Bases::neurons(&w.model);
    let spec = CircuitSpec::default();
    let error = probe_circuit(&ctx(), &w.model, &neurons, texts, &probe, &spec).unwrap_err();
    assert!(error.why.contains("resid.1"), "{error}");
    let high = CircuitSpec { threshold: 1e6, ..spec };
    let error = probe_circuit(&ctx(), &w.model, &w.bases, texts, &probe, &high).unwrap_err();
    assert!(error.remedy.contains("smaller threshold"), "{error}");
}
