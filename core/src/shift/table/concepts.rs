//! The concept bottleneck: a probe that sees only how similar a text is to some keywords.

use super::super::pooled::Pooled;
use super::super::probe::{answer, fit};
use super::super::{Source, Text};
use super::rows::{Maker, Measured, Outcome, plain};
use crate::activations::numbers;
use crate::error::{Error, Result};
use crate::llama::{Plan, Tokens};
use crate::world::LEXICON;

/// Keywords of each profession.
const EACH: usize = 10;

pub(super) fn row<E>(maker: &Maker<'_, E>) -> Result<Outcome> {
    let made = "Each keyword's vector is the output of the probe's site at its last token, less \
                the mean of all keywords' vectors, at length 1; a probe is trained, on the \
                ambiguous part, on the cosines between these vectors and the text's mean output.";
    let Some(words) = keywords(maker) else {
        let why = "No keywords were given for this file.";
        return Ok(Err((made.to_owned(), why.to_owned())));
    };
    let vectors = vectors(maker, &words)?;
    let split = maker.input.split;
    let cosines =
        |texts: &[Text]| -> Result<Pooled> { Ok(cosines(&maker.pooled(texts, &[])?, &vectors)) };
    let train = cosines(&split.ambiguous)?;
    let labels: Vec<usize> = split.ambiguous.iter().map(|text| text.label).collect();
    let check = || maker.ctx.check();
    let fit = fit(&train, &labels, maker.input.probe_spec, &check)?;
    let right = |x: &Pooled, texts: &[Text]| -> Vec<f64> {
        let right = fit.logits(x).into_iter().zip(texts).map(|(z, t)| answer(z) == t.label);
        right.map(|right| f64::from(u8::from(right))).collect()
    };
    let learnt = right(&train, &split.ambiguous);
    let test = cosines(&split.balanced_test)?;
    Ok(Ok(Measured {
        train_accuracy: Some(learnt.iter().sum::<f64>() / learnt.len().max(1) as f64),
        words,
        ..plain(right(&test, &split.balanced_test), 0, made)
    }))
}

/// Those given, or the world's own: each profession and the nouns that go with it.
fn keywords<E>(maker: &Maker<'_, E>) -> Option<Vec<String>> {
    if let Some(given) = &maker.spec.keywords {
        let given: Vec<String> =
            given.iter().map(|w| w.trim().to_owned()).filter(|w| !w.is_empty()).collect();
        return (given.len() > 1).then_some(given);
    }
    let Source::World { labels, .. } = maker.input.source else { return None };
    let mut out = Vec::new();
    for label in labels {
        let profession = LEXICON.professions.iter().find(|p| p.name == label)?;
        out.push(label.clone());
        out.extend(profession.nouns.iter().take(EACH - 1).map(|noun| noun.one.clone()));
    }
    Some(out)
}

/// A vector of length 1 for each word.
fn vectors<E>(maker: &Maker<'_, E>, words: &[String]) -> Result<Vec<Vec<f64>>> {
    let model = maker.input.model;
    let tokenizer = model.need_tokenizer()?;
    let site = maker.input.probe.site;
    let mut out: Vec<Vec<f64>> = Vec::new();
    for word in words {
        maker.ctx.check()?;
        let mut ids = tokenizer.encode(word, true)?;
        ids.truncate(model.config().context);
        if ids.is_empty() {
            return Err(Error::setting(
                format!("The keyword {word:?} cannot be used"),
                "the model's tokenizer makes no token of it",
                "Choose another word",
            ));
        }
        let pass =
            model.forward(&Tokens::row(&ids)?, &Plan { read: &[site], ..Plan::default() })?;
        let x = pass.sites.get(&site).map(numbers).transpose()?.unwrap_or_default();
        let width = model.config().width;
        out.push(x[x.len().saturating_sub(width)..].iter().map(|x| f64::from(*x)).collect());
    }
    let n = out.len() as f64;
    let width = out.first().map_or(0, Vec::len);
    let mean: Vec<f64> = (0..width).map(|i| out.iter().map(|v| v[i]).sum::<f64>() / n).collect();
    for vector in &mut out {
        vector.iter_mut().zip(&mean).for_each(|(v, mean)| *v -= mean);
        let length = norm(vector);
        if length > 0.0 {
            vector.iter_mut().for_each(|v| *v /= length);
        }
    }
    Ok(out)
}

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// The cosine of each row of `x` with each vector of length 1.
fn cosines(x: &Pooled, vectors: &[Vec<f64>]) -> Pooled {
    let mut out = Vec::with_capacity(x.len() * vectors.len());
    for row in x.rows() {
        let length = norm(row).max(f64::MIN_POSITIVE);
        for vector in vectors {
            out.push(row.iter().zip(vector).map(|(a, b)| a * b).sum::<f64>() / length);
        }
    }
    Pooled::new(vectors.len(), out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosines_by_hand() {
        let x = Pooled::new(2, vec![3.0, 4.0, 0.0, 2.0]);
        let found = cosines(&x, &[vec![1.0, 0.0], vec![0.0, 1.0], vec![0.6, 0.8]]);
        let wanted = [0.6, 0.8, 1.0, 0.0, 1.0, 0.8];
        for (i, wanted) in wanted.iter().enumerate() {
            assert!((found.row(i / 3)[i % 3] - wanted).abs() < 1e-12);
        }
    }
}
