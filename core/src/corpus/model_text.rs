//! A model's tokenizer as the rows need it.

use super::Encode;
use crate::error::Result;
use crate::llama::Model;
use std::sync::Arc;

struct ModelText(Model);

/// The tokenizer of `model`.
///
/// # Errors
/// The model has none.
pub fn encoder_of(model: &Model) -> Result<Arc<dyn Encode>> {
    model.need_tokenizer()?;
    Ok(Arc::new(ModelText(model.clone())))
}

impl Encode for ModelText {
    fn encode(&self, text: &str) -> Result<Vec<u32>> {
        self.0.need_tokenizer()?.encode(text, false)
    }

    fn bos(&self) -> Option<u32> {
        self.0.tokenizer().and_then(|t| t.bos())
    }
}
