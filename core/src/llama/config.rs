//! The shape of a model: what a Hugging Face `config.json` says, checked.

use super::rope::Rope;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The shape of a Llama and the constants of its arithmetic, checked to make sense.
///
/// Made by [`Config::from_json`], or field by field and then passed through [`Config::checked`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// The architecture named in the file: `LlamaForCausalLM`.
    pub architecture: String,
    /// Number of blocks.
    pub layers: usize,
    /// Width d of the residual stream (`hidden_size`).
    pub width: usize,
    /// Number of query heads.
    pub heads: usize,
    /// Number of key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of one head; even.
    pub head_dim: usize,
    /// Width of the MLP's hidden layer (`intermediate_size`).
    pub hidden: usize,
    /// Number of tokens.
    pub vocab: usize,
    /// Most positions the model was made for (no more than a sliding window, if it has one).
    pub context: usize,
    /// The ε of RMSNorm.
    pub norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// How the rotary frequencies are scaled.
    pub rope: Rope,
    /// Whether embedding and output matrix are one; `None` where the file does not say.
    pub tied: Option<bool>,
    /// Token that begins a text.
    pub bos: Option<u32>,
    /// Tokens that end a text.
    pub eos: Vec<u32>,
}

/// No real model comes near it; sizes up to it cannot overflow a `u64` product.
const LARGEST: usize = 1 << 24;
const MOST_LAYERS: usize = 4096;

impl Config {
    /// Reads a `config.json` of Llama 1, 2, 3, 3.1, 3.2 or of a model of the same arithmetic.
    ///
    /// # Errors
    /// Not JSON, not a Llama (the error names the architecture found), a feature of attention,
    /// MLP or rotary embedding that this forward pass does not compute, sizes that make no sense.
    pub fn from_json(text: &[u8]) -> Result<Self> {
        let json: Value =
            serde_json::from_slice(text).map_err(|e| wrong(format!("it is not JSON ({e})")))?;
        let Value::Object(_) = json else {
            return Err(wrong("it is not a JSON object".to_owned()));
        };
        let architecture = architecture(&json)?;
        refuse_what_is_not_computed(&json, &architecture)?;
        let width = size(&json, "hidden_size")?;
        let heads = size(&json, "num_attention_heads")?;
        let head_dim = match optional_size(&json, "head_dim")? {
            Some(n) => n,
            None if heads > 0 && width % heads == 0 => width / heads,
            None => {
                return Err(wrong(format!(
                    "hidden_size {width} cannot be divided among {heads} attention heads"
                )));
            }
        };
        let kv_heads = match optional_size(&json, "num_key_value_heads")? {
            Some(n) => n,
            // Mistral's own default is 8, Llama's is one per query head.
            None if architecture.starts_with("Mistral") => 8,
            None => heads,
        };
        let (rope_theta, rope) = super::rope::from_json(&json)?;
        let context = optional_size(&json, "max_position_embeddings")?.unwrap_or(2048);
        let window = match optional_size(&json, "sliding_window")? {
            Some(n) => Some(n),
            None => optional_size(&json, "sliding_window_size")?,
        };
        let config = Self {
            architecture,
            layers: size(&json, "num_hidden_layers")?,
            width,
            heads,
            kv_heads,
            head_dim,
            hidden: size(&json, "intermediate_size")?,
            vocab: size(&json, "vocab_size")?,
            // Up to the window, attending within it and attending to everything are the same.
            context: window.map_or(context, |w| w.min(context)),
            norm_eps: number(&json, "rms_norm_eps")?.unwrap_or(1e-6),
            rope_theta,
            rope,
            tied: flag(&json, "tie_word_embeddings")?,
            bos: tokens(&json, "bos_token_id")?.first().copied(),
            eos: tokens(&json, "eos_token_id")?,
        };
        config.checked()
    }

    /// Itself, if its sizes make sense.
    ///
    /// # Errors
    /// A size of zero or beyond any real model, heads that do not divide, an ε that is no number.
    pub fn checked(self) -> Result<Self> {
        for (name, n, most) in [
            ("num_hidden_layers", self.layers, MOST_LAYERS),
            ("hidden_size", self.width, LARGEST),
            ("num_attention_heads", self.heads, LARGEST),
            ("num_key_value_heads", self.kv_heads, LARGEST),
            ("head_dim", self.head_dim, LARGEST),
            ("intermediate_size", self.hidden, LARGEST),
            ("vocab_size", self.vocab, LARGEST),
            ("max_position_embeddings", self.context, 1 << 30),
        ] {
            if n == 0 || n > most {
                return Err(wrong(format!("{name} is {n}, and must lie between 1 and {most}")));
            }
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            return Err(wrong(format!(
                "{} attention heads cannot share {} key-value heads evenly",
                self.heads, self.kv_heads
            )));
        }
        if !self.head_dim.is_multiple_of(2) {
            return Err(wrong(format!(
                "head_dim is {}, and rotary embeddings need an even number",
                self.head_dim
            )));
        }
        if self.heads.saturating_mul(self.head_dim) > LARGEST {
            return Err(wrong(format!(
                "{} heads of width {} are more than any model has",
                self.heads, self.head_dim
            )));
        }
        if !(self.norm_eps.is_finite() && self.norm_eps > 0.0) {
            return Err(wrong(format!("rms_norm_eps is {}", self.norm_eps)));
        }
        if !(self.rope_theta.is_finite() && self.rope_theta > 0.0) {
            return Err(wrong(format!("rope_theta is {}", self.rope_theta)));
        }
        self.rope.check()?;
        Ok(self)
    }

    /// Number of parameters; tied matrices count once.
    pub fn parameters(&self) -> u64 {
        let n = |x: usize| x as u64;
        let attention = n(self.width) * n(self.head_dim) * 2 * (n(self.heads) + n(self.kv_heads));
        let block = attention + 3 * n(self.width) * n(self.hidden) + 2 * n(self.width);
        let embedding = n(self.vocab) * n(self.width);
        let output = if self.tied == Some(true) { 0 } else { embedding };
        n(self.layers) * block + embedding + output + n(self.width)
    }

    /// The same as a `config.json` of Hugging Face transformers, both old and new names of the
    /// rotary settings, for a model whose matrices are stored in `dtype` ("float32").
    pub fn to_json(&self, dtype: &str) -> Value {
        let mut rope = self.rope.to_json();
        let scaling = if self.rope == Rope::Default { Value::Null } else { rope.clone() };
        rope["rope_theta"] = self.rope_theta.into();
        let mistral = self.architecture.starts_with("Mistral");
        serde_json::json!({
            "architectures": [self.architecture],
            "model_type": if mistral { "mistral" } else { "llama" },
            "attention_bias": false,
            "mlp_bias": false,
            "hidden_act": "silu",
            "num_hidden_layers": self.layers,
            "hidden_size": self.width,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.head_dim,
            "intermediate_size": self.hidden,
            "vocab_size": self.vocab,
            "max_position_embeddings": self.context,
            "rms_norm_eps": self.norm_eps,
            "rope_theta": self.rope_theta,
            "rope_scaling": scaling,
            "rope_parameters": rope,
            "tie_word_embeddings": self.tied.unwrap_or(false),
            "bos_token_id": self.bos,
            "eos_token_id": self.eos,
            "torch_dtype": dtype,
        })
    }
}

/// The architecture the file names, if this program computes it.
fn architecture(json: &Value) -> Result<String> {
    let kind = json.get("model_type").and_then(Value::as_str);
    let named = json
        .get("architectures")
        .and_then(Value::as_array)
        .and_then(|list| list.iter().find_map(Value::as_str));
    let found = named.or(kind).unwrap_or("none at all");
    let known = match (named, kind) {
        (Some("LlamaForCausalLM"), None | Some("llama"))
        | (Some("MistralForCausalLM"), None | Some("mistral")) => named,
        // `LlamaModel` is the same blocks; whether the output matrix is there is seen in the file.
        (None | Some("LlamaModel" | "LLaMAForCausalLM"), Some("llama")) => Some("LlamaForCausalLM"),
        (None | Some("MistralModel"), Some("mistral")) => Some("MistralForCausalLM"),
        _ => None,
    };
    known.map(str::to_owned).ok_or_else(|| {
        Error::format(
            "This model cannot be opened",
            format!(
                "its config.json names the architecture {found}{}, and Sparsescope computes Llama \
                 models (LlamaForCausalLM, and MistralForCausalLM within its window)",
                match kind {
                    Some(kind) if named.is_some() => format!(" (model_type {kind})"),
                    _ => String::new(),
                }
            ),
            "Choose a Llama model, or correct the config.json if it is one",
        )
    })
}

/// What would change the arithmetic, and would be silently wrong if it were passed over.
fn refuse_what_is_not_computed(json: &Value, architecture: &str) -> Result<()> {
    let refuse = |what: String| {
        Err(Error::format(
            "This model cannot be opened",
            format!("it names the architecture {architecture}, but {what}"),
            "Choose a model without it",
        ))
    };
    for key in ["attention_bias", "mlp_bias"] {
        if flag(json, key)? == Some(true) {
            return refuse(format!(
                "its config.json sets {key}, which a plain Llama does not have"
            ));
        }
    }
    match json.get("hidden_act") {
        None | Some(Value::Null) => {}
        Some(Value::String(act)) if act == "silu" || act == "swish" => {}
        Some(other) => return refuse(format!("its hidden_act is {other} instead of \"silu\"")),
    }
    match json.get("quantization_config") {
        None | Some(Value::Null) => {}
        Some(_) => return refuse("its weights are quantized (quantization_config)".to_owned()),
    }
    Ok(())
}

pub(super) fn number(json: &Value, key: &str) -> Result<Option<f64>> {
    match json.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_f64() {
            Some(x) if x.is_finite() => Ok(Some(x)),
            _ => Err(wrong(format!("{key} is {value} instead of a number"))),
        },
    }
}

pub(super) fn optional_size(json: &Value, key: &str) -> Result<Option<usize>> {
    match json.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64().map(usize::try_from) {
            Some(Ok(n)) => Ok(Some(n)),
            _ => Err(wrong(format!("{key} is {value} instead of a count"))),
        },
    }
}

fn size(json: &Value, key: &str) -> Result<usize> {
    optional_size(json, key)?.ok_or_else(|| wrong(format!("{key} is missing")))
}

fn flag(json: &Value, key: &str) -> Result<Option<bool>> {
    match json.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(b)) => Ok(Some(*b)),
        Some(value) => Err(wrong(format!("{key} is {value} instead of true or false"))),
    }
}

/// One token or a list of them.
fn tokens(json: &Value, key: &str) -> Result<Vec<u32>> {
    let one = |value: &Value| {
        value
            .as_u64()
            .and_then(|id| u32::try_from(id).ok())
            .ok_or_else(|| wrong(format!("{key} holds {value} instead of a token's number")))
    };
    match json.get(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(list)) => list.iter().map(one).collect(),
        // Some checkpoints write -1 for "none".
        Some(value) if value.as_i64() == Some(-1) => Ok(Vec::new()),
        Some(value) => Ok(vec![one(value)?]),
    }
}

pub(super) fn wrong(why: String) -> Error {
    Error::format(
        "The model's config.json makes no sense",
        why,
        "Download the model again, or correct the file",
    )
}
