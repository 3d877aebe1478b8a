//! Verdicts against a slow oracle that encodes, replaces and decodes by hand, site by site.

use super::super::{Basis, CutOp, Example, Unit};
use super::verdict::{estimate, share_of};
use super::*;
use crate::activations::testing::{tiny_model, tiny_sae};
use crate::activations::{numbers, site_output};
use crate::edits::{Dictionaries, Edit, Edits};
use crate::llama::{Change, Logits, Plan, Tokens};
use crate::sae::Sae;
use candle_core::Tensor;
use std::collections::BTreeMap;

const WIDTH: usize = 16;
const LATENTS: u32 = 24;

fn ctx() -> JobContext<()> {
    JobContext::unwatched()
}

fn example(pair: usize, clean: &[u32], patch: &[u32], right: &[u32], wrong: &[u32]) -> Example {
    Example {
        pair,
        clean: clean.to_vec(),
        patch: (!patch.is_empty()).then(|| patch.to_vec()),
        right: right.to_vec(),
        wrong: wrong.to_vec(),
        negate: false,
        case: String::new(),
    }
}

/// Five pairs of one length that all begin with the same two tokens, and two of another.
fn examples() -> Examples {
    let kept = vec![
        example(0, &[0, 7, 9, 17, 30], &[0, 7, 12, 17, 30], &[5], &[6]),
        example(2, &[0, 7, 22, 11, 31], &[0, 7, 23, 11, 31], &[6], &[5]),
        example(3, &[0, 7, 8], &[0, 9, 8], &[5], &[6]),
        example(4, &[0, 7, 14, 41, 3], &[0, 7, 15, 41, 3], &[5, 8], &[6]),
        example(5, &[0, 7, 35, 20, 19], &[0, 7, 36, 20, 19], &[5], &[6]),
        example(6, &[0, 30, 8], &[], &[5], &[6, 9]),
        example(7, &[0, 7, 39, 28, 27], &[0, 7, 38, 28, 27], &[6], &[5]),
    ];
    Examples { kept, left_out: Vec::new() }
}

/// A dictionary of its own at every site but attn.1, whose coordinates are the nodes, and mlp.1,
/// which is not looked at.
fn bases() -> Bases {
    let mut sites = BTreeMap::new();
    for (i, site) in Site::all(2).into_iter().enumerate() {
        let mut sae = tiny_sae(&[WIDTH, LATENTS as usize]);
        sae.b_dec.iter_mut().for_each(|b| *b *= 1.0 + i as f32 / 4.0);
        sae.b_enc.rotate_left(i);
        match site {
            Site::Attn(1) => sites.insert(site, Basis::Neurons),
            Site::Mlp(1) => None,
            _ => sites.insert(site, Basis::Sae(Arc::new(sae))),
        };
    }
    Bases { sites }
}

fn nodes(texts: &[&str]) -> BTreeSet<Node> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn some_nodes() -> BTreeSet<Node> {
    let mut all = nodes(&["embed/3@2", "embed/error", "attn.1/error@9"]);
    all.remove(&"attn.1/error@9".parse().unwrap());
    for i in (0..LATENTS).step_by(2) {
        all.insert(format!("embed/{i}").parse().unwrap());
        all.insert(format!("attn.0/{i}@{}", i % 5).parse().unwrap());
        all.insert(format!("resid.0/{i}").parse().unwrap());
        all.insert(format!("resid.1/{}@4", i / 2).parse().unwrap());
    }
    for i in 0..9 {
        all.insert(format!("attn.1/{i}").parse().unwrap());
    }
    all.insert("resid.0/error@3".parse().unwrap());
    all.insert("mlp.0/error".parse().unwrap());
    all
}

fn every_node(bases: &Bases) -> BTreeSet<Node> {
    let mut all = BTreeSet::new();
    for (&site, basis) in &bases.sites {
        let count = match basis {
            Basis::Sae(_) => LATENTS,
            Basis::Neurons => WIDTH as u32,
        };
        let node = |unit| Node { site, position: None, unit };
        all.extend((0..count).map(|latent| node(Unit::Latent(latent))));
        if matches!(basis, Basis::Sae(_)) {
            all.insert(node(Unit::Error));
        }
    }
    all
}

/// The nodes of a row by hand: f dense and ε.
fn take_apart(basis: &Basis, x: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let Basis::Sae(sae) = basis else { return (x.to_vec(), Vec::new()) };
    let f = sae.encode(x).unwrap().to_dense();
    let whole = put_together(basis, &f, &vec![0.0; x.len()]);
    (f, x.iter().zip(whole).map(|(x, y)| x - y).collect())
}

fn put_together(basis: &Basis, f: &[f32], error: &[f32]) -> Vec<f32> {
    let Basis::Sae(sae) = basis else { return f.to_vec() };
    let mut x: Vec<f32> = sae.b_dec.iter().zip(error).map(|(b, e)| b + e).collect();
    for (i, f) in f.iter().enumerate() {
        for (x, d) in x.iter_mut().zip(sae.direction(i)) {
            *x += f * d;
        }
    }
    x
}

/// What a node that is put away becomes, by site, then text and position.
type Away = BTreeMap<Site, Vec<(Vec<f32>, Vec<f32>)>>;

struct Slow<'a> {
    site: Site,
    basis: &'a Basis,
    spec: &'a JudgeSpec,
    which: Which<'a>,
    cuts: &'a [Cut],
    ablation: &'a Away,
    means: &'a Away,
    donors: &'a Away,
}

impl Slow<'_> {
    fn stays(&self, position: u32, unit: Unit) -> bool {
        if self.which == Which::Everything || self.spec.exempt.contains(&self.site) {
            return true;
        }
        match (self.spec.errors, unit) {
            (Errors::Keep, Unit::Error) => return true,
            (Errors::Cut, Unit::Error) => return false,
            _ => {}
        }
        let site = self.site;
        let within = |nodes: &BTreeSet<Node>| {
            [None, Some(position)]
                .iter()
                .any(|position| nodes.contains(&Node { site, position: *position, unit }))
        };
        match self.which {
            Which::Only(nodes) => within(nodes),
            Which::Without(nodes) => !within(nodes),
            Which::Everything => true,
        }
    }
}

impl Change for Slow<'_> {
    fn apply(&self, x: &Tensor, first: usize) -> Result<Tensor> {
        assert_eq!(first, 0);
        let (_, positions, width) = x.dims3()?;
        let mut out = Vec::new();
        for (row, x) in numbers(x)?.chunks(width).enumerate() {
            let position = (row % positions) as u32;
            let (mut f, mut error) = take_apart(self.basis, x);
            let (away, away_error) = &self.ablation[&self.site][row];
            for i in 0..f.len() {
                if !self.stays(position, Unit::Latent(i as u32)) {
                    f[i] = away[i];
                }
            }
            if !self.stays(position, Unit::Error) {
                error.clone_from(away_error);
            }
            for cut in self.cuts {
                for node in cut.nodes.iter().filter(|n| n.site == self.site) {
                    if node.position.is_some_and(|p| p != position) {
                        continue;
                    }
                    let (mean, mean_error) = &self.means[&self.site][row];
                    let (donor, donor_error) = &self.donors[&self.site][row];
                    match node.unit {
                        Unit::Latent(i) => {
                            let i = i as usize;
                            f[i] = match cut.op {
                                CutOp::Zero => 0.0,
                                CutOp::Mean => mean[i],
                                CutOp::Resample => donor[i],
                                CutOp::Scale(s) => f[i] * s,
                                CutOp::Set(v) => v,
                                CutOp::Add(v) => f[i] + v,
                            };
                        }
                        Unit::Error => match cut.op {
                            CutOp::Zero => error.fill(0.0),
                            CutOp::Mean => error.clone_from(mean_error),
                            CutOp::Resample => error.clone_from(donor_error),
                            CutOp::Scale(s) => error.iter_mut().for_each(|e| *e *= s),
                            CutOp::Set(_) | CutOp::Add(_) => unreachable!("not defined"),
                        },
                    }
                }
            }
            out.extend(put_together(self.basis, &f, &error));
        }
        Ok(Tensor::from_vec(out, x.dims(), x.device())?)
    }
}

/// F of every example, by hand.
fn slow(
    model: &Model,
    bases: &Bases,
    examples: &Examples,
    spec: &JudgeSpec,
    which: Which<'_>,
    cuts: &[Cut],
) -> Vec<f64> {
    let mut out = vec![0.0; examples.kept.len()];
    for places in examples.by_length().into_values() {
        let of = |i: &usize| &examples.kept[*i];
        let clean: Vec<&[u32]> = places.iter().map(|i| &of(i).clean[..]).collect();
        let sources: Vec<&[u32]> =
            places.iter().map(|i| of(i).patch.as_deref().unwrap_or(&of(i).clean)).collect();
        let positions = clean[0].len();
        let sites: Vec<Site> = bases.sites.keys().copied().collect();
        let plan = Plan { read: &sites, ..Plan::default() };
        let pass = model.forward(&Tokens::rows(&sources).unwrap(), &plan).unwrap();
        let chosen = values::donors(places.len(), spec.seed);
        let (mut means, mut zeros, mut donors) = (Away::new(), Away::new(), Away::new());
        for (site, basis) in &bases.sites {
            let x = site_output(&pass, *site).unwrap();
            let rows: Vec<_> = x.chunks(WIDTH).map(|x| take_apart(basis, x)).collect();
            let zero = |(f, e): &(Vec<f32>, Vec<f32>)| (vec![0.0; f.len()], vec![0.0; e.len()]);
            let mean = |row: usize| {
                let at: Vec<usize> = (row % positions..rows.len()).step_by(positions).collect();
                let mean = |part: &dyn Fn(usize) -> Vec<f32>| -> Vec<f32> {
                    let n = at.len() as f32;
                    (0..part(0).len())
                        .map(|i| at.iter().map(|r| part(*r)[i]).sum::<f32>() / n)
                        .collect()
                };
                (mean(&|r| rows[r].0.clone()), mean(&|r| rows[r].1.clone()))
            };
            zeros.insert(*site, rows.iter().map(zero).collect());
            means.insert(*site, (0..rows.len()).map(mean).collect());
            let donor =
                |row: usize| rows[chosen[row / positions] * positions + row % positions].clone();
            donors.insert(*site, (0..rows.len()).map(donor).collect());
        }
        let ablation = match spec.ablation {
            Ablation::Mean => &means,
            Ablation::Zero => &zeros,
            Ablation::Resample => &donors,
        };
        let changes: Vec<Slow> = bases
            .sites
            .iter()
            .map(|(site, basis)| Slow {
                site: *site,
                basis,
                spec,
                which,
                cuts,
                ablation,
                means: &means,
                donors: &donors,
            })
            .collect();
        let change: Vec<(Site, &dyn Change)> =
            changes.iter().map(|slow| (slow.site, slow as &dyn Change)).collect();
        let plan = Plan { change: &change, logits: Logits::Last, ..Plan::default() };
        let pass = model.forward(&Tokens::rows(&clean).unwrap(), &plan).unwrap();
        let logits = numbers(&pass.logits.unwrap()).unwrap();
        for (row, place) in places.iter().enumerate() {
            let of_row = &logits[row * 43..][..43];
            let sum = |tokens: &[u32]| -> f64 {
                tokens.iter().map(|t| f64::from(of_row[*t as usize]).exp()).sum::<f64>().ln()
            };
            let example = &examples.kept[*place];
            out[*place] = sum(&example.right) - sum(&example.wrong);
        }
    }
    out
}

fn close(a: &[f64], b: &[f64], what: &str) {
    let worst = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(a.len() == b.len() && worst < 1e-4, "{what}: {worst}\n{a:?}\n{b:?}");
}

fn specs() -> Vec<JudgeSpec> {
    let mut out = Vec::new();
    for ablation in Ablation::ALL {
        for errors in Errors::ALL {
            for exempt in [vec![], vec![Site::Embed, Site::Attn(0)]] {
                out.push(JudgeSpec { ablation, errors, exempt, seed: 3, ..JudgeSpec::default() });
            }
        }
    }
    out
}

#[test]
fn every_way_to_judge_agrees_with_encoding_and_replacing_by_hand() {
    let (model, bases, examples) = (tiny_model(), bases(), examples());
    let (nodes, empty) = (some_nodes(), BTreeSet::new());
    let mut all = Vec::new();
    for spec in specs() {
        let judge = Judge::new(&ctx(), &model, &bases, &examples, spec.clone()).unwrap();
        for which in
            [Which::Everything, Which::Only(&empty), Which::Only(&nodes), Which::Without(&nodes)]
        {
            let fast = judge.run(&ctx(), which, &[]).unwrap().value;
            let by_hand = slow(&model, &bases, &examples, &spec, which, &[]);
            close(&fast, &by_hand, &format!("{spec:?}"));
            all.push(fast);
        }
    }
    // The cases must differ, or agreeing would say little.
    let different: BTreeSet<Vec<u64>> =
        all.iter().map(|v| v.iter().map(|v| v.to_bits()).collect()).collect();
    assert!(different.len() > all.len() / 2, "{} of {}", different.len(), all.len());
}

#[test]
fn cuts_agree_with_the_hand_on_latents_coordinates_and_errors() {
    let (model, bases, examples) = (tiny_model(), bases(), examples());
    let nodes = some_nodes();
    let cuts = [
        "resid.0/2 zero",
        "resid.0/4,attn.0/10@0,embed/6 mean",
        "resid.0/6,attn.1/3 resample",
        "embed/8@3,attn.1/2,resid.1/1 scale 2.5",
        "resid.0/4 scale -1",
        "mlp.0/5,attn.1/12@4 set 0.7",
        "resid.0/error zero",
        "mlp.0/error mean",
        "resid.1/error@4 resample",
        "embed/error scale 0.5",
    ];
    let parsed: Vec<Cut> = cuts.iter().map(|cut| cut.parse().unwrap()).collect();
    for ablation in [Ablation::Mean, Ablation::Zero] {
        let spec = JudgeSpec { ablation, seed: 3, ..JudgeSpec::default() };
        let judge = Judge::new(&ctx(), &model, &bases, &examples, spec.clone()).unwrap();
        let each = parsed.iter().map(std::slice::from_ref).chain([&parsed[..]]);
        for cuts in each {
            for which in [Which::Everything, Which::Only(&nodes)] {
                let fast = judge.run(&ctx(), which, cuts).unwrap().value;
                let by_hand = slow(&model, &bases, &examples, &spec, which, cuts);
                close(&fast, &by_hand, &format!("{ablation} {cuts:?}"));
            }
        }
    }
}

#[test]
fn everything_is_the_model_and_nothing_is_the_empty_circuit() {
    let (model, bases, examples) = (tiny_model(), bases(), examples());
    for spec in specs() {
        let judge = Judge::new(&ctx(), &model, &bases, &examples, spec.clone()).unwrap();
        let all = every_node(&bases);
        let verdict = judge.verdict(&ctx(), &all, &[]).unwrap();
        if spec.errors != Errors::Cut {
            assert!((verdict.circuit.mean - verdict.model.mean).abs() < 1e-5, "{spec:?}");
        }
        if spec.errors == Errors::AsNodes {
            assert_eq!(verdict.complement, verdict.empty, "all but everything is nothing");
        }
        let none = judge.verdict(&ctx(), &BTreeSet::new(), &[]).unwrap();
        assert_eq!(none.circuit, none.empty);
        assert_eq!(none.faithfulness.map_or(0.0, |f| f.mean), 0.0);
        assert_eq!(none.nodes, 0);
    }
    let exempt = bases.sites.keys().copied().collect();
    let spec = JudgeSpec { exempt, ..JudgeSpec::default() };
    let judge = Judge::new(&ctx(), &model, &bases, &examples, spec).unwrap();
    let verdict = judge.verdict(&ctx(), &BTreeSet::new(), &[]).unwrap();
    assert_eq!(verdict.circuit, verdict.model, "with every site exempt nothing is put away");
    assert_eq!(verdict.faithfulness, None, "F(M) = F(∅): no share of nothing");
}

#[test]
fn a_cut_of_nothing_changes_no_bit() {
    let (model, bases, examples) = (tiny_model(), bases(), examples());
    let judge = Judge::new(&ctx(), &model, &bases, &examples, JudgeSpec::default()).unwrap();
    let plain = judge.run(&ctx(), Which::Everything, &[]).unwrap().value;
    for cut in ["resid.0/3 scale 1", "attn.1/3,embed/error scale 1", "embed/2@9 zero"] {
        let cuts = [cut.parse::<Cut>().unwrap()];
        let changes = judge.changes(&judge.batches[0], Which::Everything, &cuts).unwrap();
        let cut_value = judge.run(&ctx(), Which::Everything, &cuts).unwrap().value;
        assert_eq!(cut_value, plain, "{cut}");
        for (_, edits) in changes {
            let x = Tensor::rand(-1f32, 1.0, (5, 5, WIDTH), model.device()).unwrap();
            let same = edits.apply(&x, 0).unwrap();
            assert_eq!(numbers(&same).unwrap(), numbers(&x).unwrap(), "{cut}");
        }
    }
    let none = Cut { nodes: Vec::new(), op: CutOp::Zero };
    let verdict = judge.verdict(&ctx(), &some_nodes(), &[none]).unwrap();
    assert_eq!((verdict.cut_model, verdict.uncut_circuit), (verdict.model, verdict.circuit));
}

#[test]
fn a_cut_of_one_latent_is_the_edit_of_the_same_text() {
    let (model, bases, examples) = (tiny_model(), bases(), examples());
    let spec = JudgeSpec { ablation: Ablation::Zero, ..JudgeSpec::default() };
    let judge = Judge::new(&ctx(), &model, &bases, &examples, spec).unwrap();
    let dictionaries: Dictionaries = bases
        .sites
        .keys()
        .filter_map(|site| Some((*site, bases.sae(*site)?.clone())))
        .collect::<BTreeMap<Site, Arc<Sae>>>();
    let mut moved = 0;
    for latent in 0..LATENTS {
        for (cut, edit) in [
            ("zero", "ablate"),
            ("scale 2", "scale 2"),
            ("set 0.5", "set 0.5"),
            ("add -0.5", "add -0.5"),
        ] {
            let cut: Cut = format!("resid.0/{latent} {cut}").parse().unwrap();
            let fast = judge.run(&ctx(), Which::Everything, &[cut]).unwrap().value;
            let edit: Edit = format!("resid.0/{latent} {edit}").parse().unwrap();
            let edits = Edits::new(&[edit], &dictionaries).unwrap();
            for (i, example) in examples.kept.iter().enumerate() {
                let plan =
                    Plan { change: &edits.changes(), logits: Logits::Last, ..Plan::default() };
                let tokens = Tokens::row(&example.clean).unwrap();
                let pass = model.forward(&tokens, &plan).unwrap();
                let logits = numbers(&pass.logits.unwrap()).unwrap();
                let sum = |tokens: &[u32]| -> f64 {
                    tokens.iter().map(|t| f64::from(logits[*t as usize]).exp()).sum::<f64>().ln()
                };
                let by_edit = sum(&example.right) - sum(&example.wrong);
                assert!((fast[i] - by_edit).abs() < 1e-5, "{latent}: {} {by_edit}", fast[i]);
            }
            let plain = judge.run(&ctx(), Which::Everything, &[]).unwrap().value;
            moved += usize::from(fast != plain);
        }
    }
    assert!(moved > 20, "cuts must move something: {moved}");
}

#[test]
fn a_verdict_says_what_its_passes_gave() {
    let (model, bases, examples) = (tiny_model(), bases(), examples());
    let judge = Judge::new(&ctx(), &model, &bases, &examples, JudgeSpec::default()).unwrap();
    let nodes = some_nodes();
    let cuts: Vec<Cut> = vec!["resid.0/2,resid.0/error@3 zero".parse().unwrap()];
    let verdict = judge.verdict(&ctx(), &nodes, &cuts).unwrap();
    let empty = BTreeSet::new();
    for (got, which, cuts) in [
        (verdict.model, Which::Everything, &[][..]),
        (verdict.cut_model, Which::Everything, &cuts[..]),
        (verdict.circuit, Which::Only(&nodes), &cuts[..]),
        (verdict.uncut_circuit, Which::Only(&nodes), &[][..]),
        (verdict.complement, Which::Without(&nodes), &[][..]),
        (verdict.empty, Which::Only(&empty), &[][..]),
    ] {
        let values = judge.run(&ctx(), which, cuts).unwrap().value;
        assert_eq!(got, estimate(&values));
    }
    assert_eq!(verdict.pairs.iter().map(|p| p.pair).collect::<Vec<_>>(), [0, 2, 3, 4, 5, 6, 7]);
    let right = verdict.pairs.iter().filter(|p| p.model > 0.0).count() as f64;
    assert_eq!(verdict.accuracy.model, right / 7.0);
    assert!(verdict.pairs.iter().all(|p| p.next.len() == 8 && p.next != p.next_circuit));
    // Asked again, it is the same; and the same at another number of threads.
    assert_eq!(judge.verdict(&ctx(), &nodes, &cuts).unwrap(), verdict);
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let again = one.install(|| {
        let judge = Judge::new(&ctx(), &model, &bases, &examples, JudgeSpec::default()).unwrap();
        judge.verdict(&ctx(), &nodes, &cuts).unwrap()
    });
    assert_eq!(again, verdict);
}

#[test]
fn estimates_and_shares_by_hand() {
    let e = estimate(&[1.0, 3.0]);
    assert_eq!((e.mean, e.error), (2.0, 1.0));
    assert_eq!(estimate(&[5.0]).error, 0.0);
    let share = share_of(&[2.0, 3.0], &[0.0, 1.0], &[4.0, 5.0]).unwrap();
    assert_eq!((share.mean, share.error), (0.5, 0.0));
    // Shares of 0 and 1 of the same whole: the mean's error is 0.5.
    let share = share_of(&[0.0, 4.0], &[0.0, 0.0], &[4.0, 4.0]).unwrap();
    assert_eq!((share.mean, share.error), (0.5, 0.5));
    assert_eq!(share_of(&[1.0, 2.0], &[0.0, 0.0], &[1.0, -1.0]), None);
}

#[test]
fn curves_end_at_the_circuit_and_random_ones_have_its_shape() {
    let (model, bases, examples) = (tiny_model(), bases(), examples());
    let judge = Judge::new(&ctx(), &model, &bases, &examples, JudgeSpec::default()).unwrap();
    let nodes = some_nodes();
    let ranked: Vec<Node> = nodes.iter().copied().collect();
    let sizes = counts(ranked.len(), 5);
    assert!(sizes.len() == 5 && sizes[0] == 1 && sizes[4] == ranked.len(), "{sizes:?}");
    let mut heard = Vec::new();
    let points = judge.curve(&ctx(), &ranked, &sizes, |p| heard.push(p.nodes)).unwrap();
    assert_eq!(heard, sizes);
    let verdict = judge.verdict(&ctx(), &nodes, &[]).unwrap();
    let last = points.last().unwrap();
    assert_eq!((last.value, last.faithfulness), (verdict.circuit, verdict.faithfulness));
    assert_eq!(last.completeness, verdict.completeness);
    let random = judge.random(&ctx(), &nodes, 4).unwrap();
    assert_eq!(random, judge.random(&ctx(), &nodes, 4).unwrap());
    assert_eq!(random.draws.is_empty(), verdict.faithfulness.is_none());
    let shape = |nodes: &BTreeSet<Node>| {
        let mut shape = BTreeMap::<(Site, Option<u32>, bool), usize>::new();
        for node in nodes {
            let error = node.unit == Unit::Error;
            *shape.entry((node.site, node.position, error)).or_default() += 1;
        }
        shape
    };
    // Only what is active can be drawn: with few prompts and k 4 that may be fewer.
    let few = nodes_of(&judge, &["resid.0", "embed", "attn.1"]);
    for draw in 0..3 {
        let drawn = judge.drawn(&few, draw, &mut BTreeMap::new());
        assert_eq!(shape(&drawn), shape(&few));
        assert_ne!(drawn, judge.drawn(&few, draw + 1, &mut BTreeMap::new()));
    }
    assert_eq!(counts(0, 5), Vec::<usize>::new());
    assert_eq!(counts(3, 15), [1, 2, 3]);
    assert_eq!(counts(7, 1), [1, 7]);
}

/// Two active latents of each site, and the error of the first.
fn nodes_of(judge: &Judge, sites: &[&str]) -> BTreeSet<Node> {
    let mut out = nodes(&["resid.0/error"]);
    for site in sites {
        let site: Site = site.parse().unwrap();
        let active = judge.batches[0].reads[&site].active(None);
        let node = |latent: &u32| Node { site, position: None, unit: Unit::Latent(*latent) };
        out.extend(active.iter().take(2).map(node));
    }
    out
}

#[test]
fn what_cannot_be_judged_is_named() {
    let (model, bases, examples) = (tiny_model(), bases(), examples());
    let spec = JudgeSpec::default;
    let judge = Judge::new(&ctx(), &model, &bases, &examples, spec()).unwrap();
    let why = |node: &str, cut: &str| {
        let cuts: Vec<Cut> = cut.parse().into_iter().collect();
        let error = judge.verdict(&ctx(), &nodes(&[node]), &cuts).unwrap_err();
        error.to_string()
    };
    assert!(why("resid.0/24", "").contains("0 to 23"));
    assert!(why("mlp.1/3", "").contains("not among the sites"));
    assert!(why("attn.1/error", "").contains("coordinates"));
    assert!(why("attn.1/3", "resid.0/99 zero").contains("resid.0/99"));
    assert!(why("attn.1/3", "resid.0/error set 1").contains("whole vector"));
    let too_much: Cut = "resid.0/1,resid.0/2,resid.0/3,resid.0/4 set 3e38".parse().unwrap();
    let error = judge.verdict(&ctx(), &some_nodes(), &[too_much]).unwrap_err();
    assert_eq!(error.kind, crate::ErrorKind::Numeric, "{error}");
    let none = Judge::new(&ctx(), &model, &bases, &Examples::default(), spec());
    assert!(none.is_err_and(|e| e.to_string().contains("held out")));
    let exempt = vec![Site::Resid(7)];
    assert!(Judge::new(&ctx(), &model, &bases, &examples, JudgeSpec { exempt, ..spec() }).is_err());
    let stopped = ctx();
    stopped.cancel("test");
    assert!(judge.verdict(&stopped, &some_nodes(), &[]).is_err_and(|e| e.is_cancelled()));
}

#[test]
fn probes_and_log_probabilities_are_measured() {
    let (model, bases, mut examples) = (tiny_model(), bases(), examples());
    let metric = super::super::Metric::Probe {
        site: Site::Resid(0),
        weights: (0..WIDTH).map(|i| i as f32 / 8.0).collect(),
        bias: 0.25,
        pool: super::super::Pool::Mean,
    };
    examples.kept[1].negate = true;
    let spec = JudgeSpec { metric, ..JudgeSpec::default() };
    let judge = Judge::new(&ctx(), &model, &bases, &examples, spec).unwrap();
    let got = judge.run(&ctx(), Which::Everything, &[]).unwrap().value;
    for (i, example) in examples.kept.iter().enumerate() {
        let plan = Plan { read: &[Site::Resid(0)], ..Plan::default() };
        let pass = model.forward(&Tokens::row(&example.clean).unwrap(), &plan).unwrap();
        let x = site_output(&pass, Site::Resid(0)).unwrap();
        let rows = x.chunks(WIDTH);
        let n = rows.len() as f64;
        let dot = |row: &[f32]| -> f64 {
            row.iter().enumerate().map(|(i, x)| f64::from(*x) * i as f64 / 8.0).sum()
        };
        let value = rows.map(dot).sum::<f64>() / n + 0.25;
        let value = if example.negate { -value } else { value };
        assert!((got[i] - value).abs() < 1e-5);
    }
    let metric = super::super::Metric::LogProbability;
    let spec = JudgeSpec { metric, ..JudgeSpec::default() };
    let judge = Judge::new(&ctx(), &model, &bases, &examples, spec).unwrap();
    let got = judge.run(&ctx(), Which::Everything, &[]).unwrap();
    let next = model.next_tokens(&examples.kept[0].clean, 43).unwrap();
    let of: f64 = next.iter().filter(|t| t.id == 5).map(|t| t.probability).sum();
    assert!((got.value[0] - of.ln()).abs() < 1e-5);
    assert_eq!(got.right[0], next[0].id == 5);
}
