use super::*;
use crate::shift::testing::{World, world};
use crate::shift::{Verdict, judge_by_truth, probe_circuit, train_probe, trim};

fn ctx() -> JobContext<()> {
    JobContext::unwatched()
}

struct Made {
    w: World,
    source: Source,
    probe: Probe,
    probe_spec: ProbeSpec,
    circuit_spec: CircuitSpec,
    judgements: Judgements,
}

fn made() -> Made {
    let w = world();
    let probe_spec =
        ProbeSpec { site: crate::llama::Site::Resid(1), epochs: 4, ..ProbeSpec::default() };
    let probe =
        train_probe(&ctx(), &w.model, &w.bases, &w.split.ambiguous, &[], &probe_spec).unwrap();
    let circuit_spec = CircuitSpec { threshold: 0.0, most: 12, ..CircuitSpec::default() };
    let circuit =
        probe_circuit(&ctx(), &w.model, &w.bases, &w.split.ambiguous, &probe, &circuit_spec)
            .unwrap();
    let (judgements, _) = judge_by_truth(
        &ctx(),
        &w.model,
        &w.bases,
        &circuit,
        &w.split.balanced_train,
        ["kind", "side"],
    )
    .unwrap();
    let source = Source::File {
        path: "texts.csv".into(),
        columns: crate::shift::Columns::default(),
        labels: None,
        spurious: None,
    };
    Made { w, source, probe, probe_spec, circuit_spec, judgements }
}

impl Made {
    fn input(&self) -> TableInput<'_> {
        TableInput {
            model: &self.w.model,
            bases: &self.w.bases,
            source: &self.source,
            data: &self.w.data,
            split: &self.w.split,
            probe: &self.probe,
            probe_spec: &self.probe_spec,
            circuit_spec: &self.circuit_spec,
            judgements: &self.judgements,
        }
    }
}

#[test]
fn every_row_is_there_and_says_how_it_was_made() {
    let made = made();
    let trimmed = made.judgements.trimmed();
    assert!(!trimmed.is_empty());
    let mut told = Vec::new();
    let spec = TableSpec {
        random_draws: 2,
        words: Some(vec!["w3".into(), "w4".into()]),
        keywords: Some(vec!["w1".into(), "w2".into(), "w9".into()]),
        ..TableSpec::default()
    };
    let found = table(&ctx(), &made.input(), &spec, &mut |row| told.push(row.clone())).unwrap();
    assert_eq!(told, found.rows);
    let kinds: Vec<RowKind> = found.rows.iter().map(|row| row.kind).collect();
    assert_eq!(kinds, RowKind::ALL);
    let embed = trimmed.iter().any(|node| node.site == crate::llama::Site::Embed);
    for row in &found.rows {
        assert!(row.made.ends_with('.') && row.made.len() > 30, "{row:?}");
        let part = matches!(row.kind, RowKind::EmbeddingOnly | RowKind::EmbeddingOnlyRetrained);
        assert_eq!(row.accuracies.is_some(), !part || embed, "{row:?}");
        if let Some(a) = row.accuracies {
            assert_eq!(a.texts, made.w.split.balanced_test.len());
        }
    }
    // Rows that trim take as many as the trim has.
    for kind in [RowKind::Random, RowKind::Shift, RowKind::NeuronSkyline, RowKind::FeatureSkyline] {
        assert_eq!(found.row(kind).unwrap().trimmed, trimmed.len(), "{kind:?}");
    }
    // SHIFT as the model under the edits says it, and retraining as training on it does.
    let test = &made.w.split.balanced_test;
    let edits = trim(&trimmed);
    let mut measurer = crate::shift::Measurer::new(
        &made.w.model,
        &made.w.bases,
        test.clone(),
        made.probe.clone(),
        0,
    )
    .unwrap();
    let shift = measurer.trimmed(&ctx(), &edits).unwrap();
    assert_eq!(found.row(RowKind::Shift).unwrap().accuracies, Some(shift));
    let ambiguous = &made.w.split.ambiguous;
    let again =
        train_probe(&ctx(), &made.w.model, &made.w.bases, ambiguous, &edits, &made.probe_spec)
            .unwrap();
    let mut measurer =
        crate::shift::Measurer::new(&made.w.model, &made.w.bases, test.clone(), again, 0).unwrap();
    let retrained = measurer.trimmed(&ctx(), &edits).unwrap();
    assert_eq!(found.row(RowKind::ShiftRetrained).unwrap().accuracies, Some(retrained));
    // Again the same, and without what only a file's user can give the row says so.
    let again = table(&ctx(), &made.input(), &spec, &mut |_| ()).unwrap();
    assert_eq!(again, found);
}

#[test]
fn what_cannot_be_measured_says_why() {
    let mut made = made();
    made.judgements.all.values_mut().for_each(|j| j.verdict = Verdict::Keep);
    let found = table(&ctx(), &made.input(), &TableSpec::default(), &mut |_| ()).unwrap();
    for kind in [
        RowKind::Random,
        RowKind::Shift,
        RowKind::ShiftRetrained,
        RowKind::NeuronSkyline,
        RowKind::FeatureSkyline,
        RowKind::EmbeddingOnly,
        RowKind::ConceptBottleneck,
    ] {
        let row = found.row(kind).unwrap();
        assert!(row.accuracies.is_none() && row.missing.is_some(), "{row:?}");
    }
    for kind in [RowKind::Original, RowKind::Oracle] {
        assert!(found.row(kind).unwrap().accuracies.is_some());
    }
}

#[test]
fn foreign_judgements_are_refused_and_a_stop_is_obeyed() {
    let mut made = made();
    let far = "embed/9999".parse().unwrap();
    let trim = crate::shift::Judgement { verdict: Verdict::Trim, note: String::new() };
    made.judgements.all.insert(far, trim);
    let spec = TableSpec::default();
    let error = table(&ctx(), &made.input(), &spec, &mut |_| ()).unwrap_err();
    assert!(error.what.contains("embed/9999"), "{error}");
    made.judgements.all.remove(&far);
    let stopped = ctx();
    let inner = stopped.clone();
    let mut rows = 0;
    let outcome = table(&stopped, &made.input(), &spec, &mut |_| {
        rows += 1;
        inner.cancel("enough");
    });
    assert!(outcome.unwrap_err().is_cancelled() && rows == 1);
}
