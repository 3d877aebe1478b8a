//! The streams against plain passes over whole texts.

use super::sampler::Sampler;
use super::*;
use crate::activations::numbers;
use crate::activations::testing::{tiny_model, tiny_sae};
use crate::edits::{Dictionaries, Edit, Edits};
use crate::error::Result;
use crate::jobs::JobContext;
use crate::llama::{Change, Logits, Model, Plan, Site, Tokens, log_probability, next_token_nll};
use crate::sae::Sae;
use candle_core::Tensor;
use std::sync::{Arc, Mutex};

const PROMPT: &str = "w3 w7 w1";

fn dictionaries() -> Dictionaries {
    let sae = Arc::new(tiny_sae(&[16, 24]));
    Dictionaries::from([(Site::Resid(0), sae.clone()), (Site::Mlp(1), sae)])
}

fn spec(edits: &[&str]) -> SteerSpec {
    SteerSpec {
        prompt: Prompt::Text(PROMPT.to_owned()),
        tokens: 12,
        sampler: SamplerSpec { temperature: 1.0, seed: 4, ..SamplerSpec::default() },
        edits: edits.iter().map(|e| e.parse().unwrap()).collect(),
        splice: Vec::new(),
    }
}

fn run(model: &Model, spec: &SteerSpec) -> SteerOutcome {
    steer(&JobContext::unwatched(), model, &dictionaries(), spec).unwrap()
}

/// Logits of every position of a text, without a cache.
fn logits(model: &Model, ids: &[u32], change: &[(Site, &dyn Change)]) -> Vec<Vec<f32>> {
    let plan = Plan { logits: Logits::All, change, ..Plan::default() };
    let pass = model.forward(&Tokens::row(ids).unwrap(), &plan).unwrap();
    pass.logits.unwrap().get(0).unwrap().to_vec2().unwrap()
}

/// A stream as it should be, a whole pass a token.
fn oracle(model: &Model, spec: &SteerSpec, change: &[(Site, &dyn Change)]) -> Vec<u32> {
    let mut text = model.tokenizer().unwrap().encode(PROMPT, true).unwrap();
    let prompt = text.len();
    let mut sampler = Sampler::new(&spec.sampler);
    while text.len() < prompt + spec.tokens {
        let id = sampler.choose(logits(model, &text, change).last().unwrap(), &text).unwrap();
        if model.config().eos.contains(&id) {
            break;
        }
        text.push(id);
    }
    text.split_off(prompt)
}

/// x' = decode(encode(x)), written out.
struct WrittenOut(Arc<Sae>);

impl Change for WrittenOut {
    fn apply(&self, x: &Tensor, _first: usize) -> Result<Tensor> {
        let new = self.0.decode(&self.0.encode(&numbers(x)?)?)?;
        Ok(Tensor::from_vec(new, x.dims(), x.device())?)
    }
}

/// Checks tokens and probabilities of every stream against whole passes.
fn check(model: &Model, spec: &SteerSpec) -> SteerOutcome {
    let found = run(model, spec);
    let prompt = model.tokenizer().unwrap().encode(PROMPT, true).unwrap();
    let edits: Vec<Edit> = spec.edits.iter().map(|e| e.for_prompt(prompt.len())).collect();
    let edits = Edits::new(&edits, &dictionaries()).unwrap();
    let edits = edits.changes();
    let splice: Vec<(Site, WrittenOut)> =
        spec.splice.iter().map(|site| (*site, WrittenOut(dictionaries()[site].clone()))).collect();
    let splice: Vec<(Site, &dyn Change)> =
        splice.iter().map(|(site, change)| (*site, change as &dyn Change)).collect();
    for stream in &found.streams {
        let own: &[(Site, &dyn Change)] = match stream.stream {
            Stream::Unsteered => &[],
            Stream::Steered => &edits,
            Stream::Spliced => &splice,
        };
        let ids: Vec<u32> = stream.written.iter().map(|w| w.id).collect();
        assert_eq!(ids, oracle(model, spec, own), "{}", stream.stream);
        let text: Vec<u32> = prompt.iter().chain(&ids).copied().collect();
        let p = |change: &[(Site, &dyn Change)]| -> Vec<f64> {
            let logits = logits(model, &text, change);
            (prompt.len()..text.len())
                .map(|i| log_probability(&logits[i - 1], text[i]).exp())
                .collect()
        };
        let (unsteered, steered, own) = (p(&[]), p(&edits), p(own));
        for (i, w) in stream.written.iter().enumerate() {
            let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-5, "{a} instead of {b}");
            assert_eq!(w.position, prompt.len() + i);
            near(w.own, own[i]);
            near(w.unsteered, unsteered[i]);
            match w.steered {
                Some(p) => near(p, steered[i]),
                None => assert!(spec.edits.is_empty() || stream.stream == Stream::Spliced),
            }
        }
        // What a text costs, by the loss that everything else is measured by.
        let tokens = Tokens::row(&text).unwrap();
        let plan = Plan { logits: Logits::All, ..Plan::default() };
        let pass = model.forward(&tokens, &plan).unwrap();
        let nll = next_token_nll(&pass.logits.unwrap(), &tokens).unwrap();
        let nll = &nll[prompt.len() - 1..];
        if let Some(perplexity) = stream.perplexity {
            let wanted = (nll.iter().sum::<f64>() / nll.len() as f64).exp();
            assert!((perplexity / wanted - 1.0).abs() < 1e-5, "{perplexity} for {wanted}");
        } else {
            assert!(nll.is_empty());
        }
    }
    found
}

#[test]
fn every_token_and_probability_is_that_of_whole_passes() {
    let model = tiny_model();
    let mut strong =
        spec(&["resid.0/3 add 4", "mlp.1/5 set 3 @ generated", "resid.0/7 scale 2 @ 2.."]);
    strong.splice = vec![Site::Resid(0), Site::Mlp(1)];
    for temperature in [0.0, 1.0] {
        strong.sampler.temperature = temperature;
        let found = check(&model, &strong);
        assert_eq!(found.streams.len(), 3);
        let steered = found.stream(Stream::Steered).unwrap();
        let at = steered.parts_at.unwrap();
        let plain = found.stream(Stream::Unsteered).unwrap();
        assert_ne!(steered.written[at].id, plain.written[at].id);
        let ids = |s: &StreamOutcome| s.written[..at].iter().map(|w| w.id).collect::<Vec<_>>();
        assert_eq!(ids(steered), ids(plain));
        assert!(steered.written.iter().any(|w| w.change().unwrap().abs() > 1e-3));
    }
}

#[test]
fn streams_may_end_at_different_times() {
    let plain = tiny_model();
    let mut ended = std::collections::BTreeSet::new();
    for eos in 3..20 {
        let config = crate::llama::Config { eos: vec![eos, eos + 20], ..plain.config().clone() };
        let tokenizer = crate::activations::testing::tiny_tokenizer();
        let model =
            Model::from_weights(config, &plain.weights().unwrap(), Some(Arc::new(tokenizer)))
                .unwrap();
        let mut spec = spec(&["resid.0/3 add 4"]);
        spec.splice = vec![Site::Mlp(1)];
        let found = check(&model, &spec);
        let lengths: Vec<usize> = found.streams.iter().map(|s| s.written.len()).collect();
        for stream in &found.streams {
            assert_eq!(stream.end == End::EndOfText, stream.written.len() < spec.tokens);
        }
        ended.insert((lengths[0].cmp(&lengths[1]), lengths[1].cmp(&lengths[2])));
    }
    assert!(ended.len() >= 4, "{ended:?}");
}

#[test]
fn without_a_difference_streams_are_the_same() {
    let model = tiny_model();
    let alone = run(&model, &spec(&[]));
    assert_eq!(alone.streams.len(), 1);
    let twin = run(&model, &spec(&["resid.0/3 add 0", "mlp.1/2 scale 1"]));
    let [a, b] = &twin.streams[..] else { panic!() };
    assert_eq!(a.text, alone.streams[0].text);
    assert_eq!((&a.text, a.perplexity, b.parts_at), (&b.text, b.perplexity, None));
    for (a, b) in a.written.iter().zip(&b.written) {
        assert_eq!((a.id, a.own, a.steered, a.change()), (b.id, b.own, b.steered, Some(0.0)));
    }
    // The same seed, the same bits.
    let again = run(&model, &spec(&["resid.0/3 add 0", "mlp.1/2 scale 1"]));
    assert_eq!(again.streams, twin.streams);
}

#[test]
fn generated_is_from_the_prompt_on() {
    let model = tiny_model();
    let generated = run(&model, &spec(&["resid.0/3 add 4 @ generated"]));
    let from = run(&model, &spec(&["resid.0/3 add 4 @ 4.."]));
    assert_eq!(generated.streams, from.streams);
    assert_eq!(generated.prompt.tokens.len(), 4);
    // The first token follows from the prompt alone.
    let first = &generated.streams[1].written[0];
    assert_eq!(first.steered, Some(first.unsteered));
    assert_ne!(run(&model, &spec(&["resid.0/3 add 4"])).streams, from.streams);
}

#[test]
fn an_overflow_is_said_and_ends_its_stream_alone() {
    let model = tiny_model();
    let found = run(&model, &spec(&["resid.0/3 add 3e38", "resid.0/5 scale 2"]));
    assert_eq!(found.bounded.len(), 1);
    assert_eq!(
        found.bounded[0].asked.to_string(),
        spec(&["resid.0/3 add 3e38"]).edits[0].to_string()
    );
    // Bounded, every number is finite still, and the text is whole.
    let steered = found.stream(Stream::Steered).unwrap();
    assert_eq!(steered.end, End::Length);
    assert!(steered.written.iter().all(|w| w.own.is_finite()));
    assert!(steered.perplexity.unwrap().is_finite());

    let far = run(&model, &spec(&["resid.0/3 set 1 @ 6..", "resid.0/3 scale 3e38 @ 6.."]));
    let steered = far.stream(Stream::Steered).unwrap();
    assert!(
        matches!(&steered.end, End::Overflow(why) if why.contains("activation")),
        "{:?}",
        steered.end
    );
    assert_eq!(steered.written.len(), 3, "what was written before is kept");
    let plain = far.stream(Stream::Unsteered).unwrap();
    assert_eq!((plain.written.len(), &plain.end), (12, &End::Length));
    assert!(plain.written[2].steered.is_some() && plain.written[3].steered.is_none());
}

#[test]
fn being_stopped_keeps_what_was_written() {
    let model = tiny_model();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let outer = JobContext::<()>::unwatched();
    let (stop, told) = (outer.clone(), heard.clone());
    let ctx = outer.hearing(move |event: SteerEvent| {
        if matches!(event, SteerEvent::Prompt(_)) {
            // From now on the job is to be stopped at its second look.
            stop.cancel("enough");
        }
        told.lock().unwrap().push(event);
    });
    let error = steer(&ctx, &model, &dictionaries(), &spec(&[]));
    // Stopped before the prompt was read, there is nothing to keep.
    assert!(error.unwrap_err().is_cancelled());
    assert_eq!(heard.lock().unwrap().len(), 1);

    let outer = JobContext::<()>::unwatched();
    let seen = outer.clone();
    let ctx = outer.hearing(move |event: SteerEvent| {
        if matches!(&event, SteerEvent::Ended { stream: Stream::Steered, .. }) {
            seen.cancel("enough");
        }
    });
    // The steered stream overflows after three tokens, and then the job is stopped.
    let spec = spec(&["resid.0/3 set 1 @ 6..", "resid.0/3 scale 3e38 @ 6.."]);
    let found = steer(&ctx, &model, &dictionaries(), &spec).unwrap();
    let plain = found.stream(Stream::Unsteered).unwrap();
    assert_eq!(plain.end, End::Stopped("enough".to_owned()));
    assert_eq!(plain.written.len(), 3);
    assert!(!plain.text.is_empty());
}

#[test]
fn what_cannot_be_written_is_named() {
    let model = tiny_model();
    let why = |spec: &SteerSpec| {
        steer(&JobContext::unwatched(), &model, &dictionaries(), spec).unwrap_err().to_string()
    };
    let text = |text: &str| SteerSpec { prompt: Prompt::Text(text.to_owned()), ..spec(&[]) };
    assert!(why(&text("")).contains("no prompt"));
    assert!(why(&text(&"w1 ".repeat(64))).contains("64 positions"));
    let chat = Prompt::Chat(vec![Message { role: Role::User, content: "w1".to_owned() }]);
    assert!(why(&SteerSpec { prompt: chat, ..spec(&[]) }).contains("no chat template"));
    assert!(why(&SteerSpec { tokens: 0, ..spec(&[]) }).contains("number of tokens is 0"));
    assert!(why(&SteerSpec { splice: vec![Site::Embed], ..spec(&[]) }).contains("embed"));
    assert!(why(&spec(&["resid.0/24 ablate"])).contains("0 to 23"));
    assert!(why(&spec(&["embed/2 ablate"])).contains("no dictionary for embed"));
    // The text goes to the end of the context and no further.
    let long = run(&model, &SteerSpec { tokens: 1000, ..spec(&[]) });
    assert_eq!(long.streams[0].end, End::Context);
    assert_eq!(long.streams[0].written.len(), 60);
}
