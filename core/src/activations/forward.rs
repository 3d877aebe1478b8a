//! Rows of different lengths through the model, many at a time.

use crate::corpus::Row;
use crate::error::{Error, ErrorKind, Result};
use crate::llama::{Change, Logits, Model, Pass, Plan, Site, Tokens};
use candle_core::{DType, Tensor};

/// Which rows go together in one forward pass: rows of similar length, about `tokens` tokens with
/// the padding, a row at least. Each group lists indices into `rows`. A function of its arguments
/// alone, so that the same rows are always computed in the same company.
pub fn groups(rows: &[Row], tokens: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..rows.len()).filter(|i| !rows[*i].is_empty()).collect();
    // Longest first, so that the greatest memory is asked for at once and not later.
    order.sort_by_key(|i| std::cmp::Reverse(rows[*i].len()));
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut longest = 0;
    for i in order {
        match groups.last_mut() {
            Some(group) if (group.len() + 1) * longest <= tokens => group.push(i),
            _ => {
                longest = rows[i].len();
                groups.push(vec![i]);
            }
        }
    }
    groups
}

/// One group of rows, padded on the right to one length. Attention looks only back, so the
/// outputs at a row's own positions are those of the row alone; the rest is to be ignored.
pub struct Group<'r> {
    /// Its rows.
    pub rows: Vec<&'r Row>,
    /// Their tokens, padded.
    pub tokens: Tokens,
}

impl<'r> Group<'r> {
    /// The rows `members` of `rows`.
    ///
    /// # Errors
    /// There are none.
    pub fn new(rows: &'r [Row], members: &[usize]) -> Result<Self> {
        let rows: Vec<&Row> = members.iter().map(|i| &rows[*i]).collect();
        let ids: Vec<&[u32]> = rows.iter().map(|r| r.tokens.as_slice()).collect();
        let tokens = Tokens::padded(&ids, 0)?;
        Ok(Self { rows, tokens })
    }

    /// Length of the padded rows.
    pub fn positions(&self) -> usize {
        self.tokens.positions()
    }

    /// Indices, into the padded `[batch, positions]`, of the tokens whose activations are used,
    /// row by row.
    pub fn used(&self) -> Vec<usize> {
        let mut all = Vec::new();
        for (b, row) in self.rows.iter().enumerate() {
            let start = b * self.positions();
            all.extend((0..row.len()).filter(|i| row.used[*i]).map(|i| start + i));
        }
        all
    }

    /// Runs the model on the group, reading `site` if one is given, changing what `change` says.
    ///
    /// # Errors
    /// Those of the forward pass; what `check` returns.
    pub fn forward(
        &self,
        model: &Model,
        read: Option<Site>,
        change: &[(Site, &dyn Change)],
        logits: Logits,
        check: &dyn Fn() -> Result<()>,
    ) -> Result<Pass> {
        let read: Vec<Site> = read.into_iter().collect();
        let plan = Plan { read: &read, change, logits, check: Some(check), ..Plan::default() };
        model.forward(&self.tokens, &plan)
    }
}

/// The numbers of a tensor, in f32.
///
/// # Errors
/// The device does not give them.
pub fn numbers(tensor: &Tensor) -> Result<Vec<f32>> {
    Ok(tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?)
}

/// The site's output in `pass`, `[batch * positions * width]` numbers.
///
/// # Errors
/// It was not read.
pub fn site_output(pass: &Pass, site: Site) -> Result<Vec<f32>> {
    let tensor = pass
        .sites
        .get(&site)
        .ok_or_else(|| Error::internal("Activations were not read", format!("{site} is absent")))?;
    numbers(tensor)
}

/// The rows `at` of `x` (`[n, width]`), one after another.
///
/// # Errors
/// One of them holds a NaN or an infinity.
pub fn gather(x: &[f32], width: usize, at: &[usize], site: Site) -> Result<Vec<f32>> {
    let mut out = Vec::with_capacity(at.len() * width);
    for i in at {
        out.extend_from_slice(&x[i * width..(i + 1) * width]);
    }
    finite(&out, width, site)?;
    Ok(out)
}

/// Refuses activations that are no numbers.
fn finite(x: &[f32], width: usize, site: Site) -> Result<()> {
    // In stretches without a way out, so that the compiler can look at many numbers at once.
    if x.chunks(256).all(|part| part.iter().fold(true, |all, v| all & v.is_finite())) {
        return Ok(());
    }
    match x.iter().position(|v| !v.is_finite()) {
        None => Ok(()),
        Some(at) => Err(Error::new(
            ErrorKind::Numeric,
            format!("The activations at {site} cannot be used"),
            format!("the model computed {} in component {}", x[at], at % width),
            "Check that the model's files are whole; a model made for bf16 may overflow in others",
        )),
    }
}

/// The activations at `site` of every used token of `rows`, in their order: `[used, width]`.
///
/// # Errors
/// Those of the forward pass; a NaN; what `check` returns.
pub fn read_rows(
    model: &Model,
    site: Site,
    rows: &[Row],
    batch: usize,
    check: &dyn Fn() -> Result<()>,
) -> Result<Vec<f32>> {
    Ok(read_rows_at(model, &[site], rows, batch, check)?.swap_remove(0))
}

/// The activations of every used token of `rows` at each of `sites`, read in the same passes of
/// the model, which stop after the last site: for each site `[used, width]`. What is read at one
/// site does not depend on which others are read.
///
/// # Errors
/// Those of the forward pass; a NaN; what `check` returns.
pub fn read_rows_at(
    model: &Model,
    sites: &[Site],
    rows: &[Row],
    batch: usize,
    check: &dyn Fn() -> Result<()>,
) -> Result<Vec<Vec<f32>>> {
    let width = model.config().width;
    let mut starts = Vec::with_capacity(rows.len());
    let mut total = 0;
    for row in rows {
        starts.push(total);
        total += row.used_tokens();
    }
    let mut out = vec![vec![0.0; total * width]; sites.len()];
    for members in groups(rows, batch) {
        check()?;
        let group = Group::new(rows, &members)?;
        let plan =
            Plan { read: sites, logits: Logits::None, check: Some(check), ..Plan::default() };
        let pass = model.forward(&group.tokens, &plan)?;
        let used = group.used();
        for (site, out) in sites.iter().zip(&mut out) {
            let x = gather(&site_output(&pass, *site)?, width, &used, *site)?;
            let mut from = 0;
            for i in &members {
                let count = rows[*i].used_tokens() * width;
                let to = starts[*i] * width;
                out[to..to + count].copy_from_slice(&x[from..from + count]);
                from += count;
            }
        }
    }
    Ok(out)
}
