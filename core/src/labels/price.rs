//! What language models cost. The program knows no prices: they change, and it is offline. A
//! person enters those of the models they pay for, and the workspace keeps them.

use super::endpoint::Endpoint;
use super::key::KeySource;
use crate::error::{Error, Result};
use crate::workspace::Workspace;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The setting that holds the table.
const SETTING: &str = "label_prices";

/// What a model costs, in US dollars for a million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Price {
    /// For tokens that it reads.
    pub input: f64,
    /// For tokens that it writes.
    pub output: f64,
    /// Share of these prices that a batch costs.
    #[serde(default = "half")]
    pub batch: f64,
}

fn half() -> f64 {
    0.5
}

impl Price {
    /// These prices, and half of them in a batch.
    ///
    /// # Errors
    /// A price is negative or no number.
    pub fn new(input: f64, output: f64) -> Result<Self> {
        Self { input, output, batch: half() }.checked()
    }

    fn checked(self) -> Result<Self> {
        let fits = |x: f64| x.is_finite() && (0.0..=1e6).contains(&x);
        if fits(self.input) && fits(self.output) && (0.0..=1.0).contains(&self.batch) {
            return Ok(self);
        }
        Err(Error::setting(
            "The price makes no sense",
            format!("{} and {} dollars for a million tokens", self.input, self.output),
            "Enter what the page of the service says, from 0 up",
        ))
    }

    /// Dollars for so many tokens.
    pub fn of(&self, input: u64, output: u64, batch: bool) -> f64 {
        let share = if batch { self.batch } else { 1.0 };
        share * (self.input * input as f64 + self.output * output as f64) / 1e6
    }
}

/// The prices that were entered, by the model's name.
///
/// # Errors
/// The workspace cannot be read.
pub fn prices(workspace: &Workspace) -> Result<BTreeMap<String, Price>> {
    let all: BTreeMap<String, Price> = workspace.setting(SETTING)?.unwrap_or_default();
    Ok(all.into_iter().filter(|(_, price)| price.checked().is_ok()).collect())
}

/// Keeps the price of a model, or forgets it.
///
/// # Errors
/// It makes no sense, or could not be saved.
pub fn set_price(workspace: &Workspace, model: &str, price: Option<Price>) -> Result<()> {
    let mut all = prices(workspace)?;
    match price {
        Some(price) => all.insert(model.to_owned(), price.checked()?),
        None => all.remove(model),
    };
    workspace.set_setting(SETTING, &all)
}

/// What the model of an endpoint costs: what was entered for it; nothing if it runs on this
/// machine without a key; otherwise that is not known.
///
/// # Errors
/// The workspace cannot be read.
pub fn price_of(workspace: &Workspace, endpoint: &Endpoint) -> Result<Option<Price>> {
    let entered = prices(workspace)?.get(&endpoint.model).copied();
    let own = endpoint.is_local() && endpoint.key == KeySource::None;
    Ok(entered.or(own.then_some(Price { input: 0.0, output: 0.0, batch: 1.0 })))
}
