//! A Llama with its tokenizer and the hash that names it.

use super::files::{self, Files};
use super::weights::{Parts, Weights};
use super::{Config, TokenizerHandle, hash, memory};
use crate::error::{Error, Result};
use candle_core::{DType, Device, Tensor};
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// A Llama with its tokenizer and a content hash that names it. Clones share everything.
#[derive(Debug, Clone)]
pub struct Model {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    parts: Parts,
    device: Device,
    dtype: DType,
    tokenizer: Option<Arc<TokenizerHandle>>,
    hash: OnceLock<String>,
    stored: Stored,
}

/// How a model lies on disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stored {
    /// Number types of the weights: `BF16`.
    pub dtype: String,
    /// Bytes of the weight files; 0 for a model that was never on disk.
    pub bytes: u64,
}

impl Parts {
    pub(super) fn head(&self) -> &Tensor {
        self.head.as_ref().unwrap_or(&self.embed)
    }
}

impl Model {
    /// Opens the Hugging Face folder at `path`, or the folder of the safetensors file at `path`;
    /// computes in f32.
    ///
    /// # Errors
    /// No model there, one that is not a Llama, damaged or incomplete files, too little memory.
    pub fn open(path: &Path, device: &Device) -> Result<Self> {
        Self::open_as(path, DType::F32, device)
    }

    /// As [`Model::open`], computing in `dtype`: f32, or f64 to check precision.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn open_as(path: &Path, dtype: DType, device: &Device) -> Result<Self> {
        if !path.exists() {
            return Err(Error::io(
                format!("Could not open the model {}", path.display()),
                &std::io::ErrorKind::NotFound.into(),
            ));
        }
        let folder = files::folder(path);
        let json = files::read_small(&folder.join("config.json"))?.ok_or_else(|| {
            Error::format(
                format!("No model was found in {}", path.display()),
                "there is no config.json beside the weights",
                "Give a Hugging Face folder with config.json and model.safetensors",
            )
        })?;
        // The configuration first: a model that is no Llama is named as such, whatever its files.
        let config = Config::from_json(&json)?;
        let files = Files::open(path)?;
        let tokenizer = files::read_small(&folder.join("tokenizer.json"))?;
        let settings = files::read_small(&folder.join("tokenizer_config.json"))?;
        let chat = files::read_small(&folder.join("chat_template.jinja"))?;
        let tokenizer = tokenizer.map(|json| {
            let settings = settings.as_deref();
            let handle = TokenizerHandle::from_bytes(&json, settings, config.bos, config.vocab)?;
            match chat {
                Some(jinja) => {
                    handle.with_chat_template(&String::from_utf8_lossy(&jinja), settings)
                }
                None => Ok(handle),
            }
        });
        Self::load(config, files, tokenizer.transpose()?, dtype, device)
    }

    /// A model from the contents of its files.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn from_bytes(
        config_json: &[u8],
        weights: Vec<u8>,
        tokenizer_json: Option<&[u8]>,
        device: &Device,
    ) -> Result<Self> {
        let config = Config::from_json(config_json)?;
        let tokenizer = tokenizer_json
            .map(|json| TokenizerHandle::from_bytes(json, None, config.bos, config.vocab));
        Self::load(config, Files::from_bytes(weights)?, tokenizer.transpose()?, DType::F32, device)
    }

    fn load(
        mut config: Config,
        mut files: Files,
        tokenizer: Option<TokenizerHandle>,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        if !matches!(dtype, DType::F32 | DType::F64) {
            return Err(Error::internal(
                "The model was not loaded",
                format!("asked for {dtype:?}"),
            ));
        }
        files.settle(&mut config)?;
        memory::check_fits("load the model", memory::load_bytes(&config, dtype), device)?;
        let parts = Parts::read(&config, &files, dtype, device)?;
        let hash = OnceLock::from(hash::of_files(&config, &files));
        let stored = Stored { dtype: files.dtypes(), bytes: files.bytes() };
        let inner = Inner {
            config,
            parts,
            device: device.clone(),
            dtype,
            tokenizer: tokenizer.map(Arc::new),
            hash,
            stored,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// A model of given weights, all f32 or all f64, `[out, in]`, named as
    /// [`super::expected_weights`] says. Cheap enough to be called at every step of a training.
    ///
    /// # Errors
    /// A weight is missing or has a wrong shape.
    pub fn from_weights(
        config: Config,
        weights: &Weights,
        tokenizer: Option<Arc<TokenizerHandle>>,
    ) -> Result<Self> {
        let mut config = config.checked()?;
        config.tied = Some(config.tied == Some(true));
        let parts = Parts::gather(&config, weights)?;
        let (device, dtype) = (parts.embed.device().clone(), parts.embed.dtype());
        let inner = Inner {
            config,
            parts,
            device,
            dtype,
            tokenizer,
            hash: OnceLock::new(),
            stored: Stored::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Every weight by its Hugging Face name, `[out, in]`.
    ///
    /// # Errors
    /// None that a whole model gives.
    pub fn weights(&self) -> Result<Weights> {
        self.inner.parts.scatter(&self.inner.config)
    }

    /// Its shape.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// The content hash that names it: 64 hexadecimal digits over configuration and weights, the
    /// same for one file and for shards.
    pub fn hash(&self) -> &str {
        self.inner.hash.get_or_init(|| hash::of_tensors(self))
    }

    /// Its tokenizer, if one was beside the weights.
    pub fn tokenizer(&self) -> Option<&TokenizerHandle> {
        self.inner.tokenizer.as_deref()
    }

    /// Its tokenizer, for another model of the same tokens.
    pub fn shared_tokenizer(&self) -> Option<Arc<TokenizerHandle>> {
        self.inner.tokenizer.clone()
    }

    /// Its tokenizer.
    ///
    /// # Errors
    /// It has none.
    pub fn need_tokenizer(&self) -> Result<&TokenizerHandle> {
        self.tokenizer().ok_or_else(|| {
            Error::setting(
                "The model has no tokenizer",
                "there was no tokenizer.json beside its weights",
                "Put the tokenizer.json of the model into its folder and open it again",
            )
        })
    }

    /// Where it computes.
    pub fn device(&self) -> &Device {
        &self.inner.device
    }

    /// What it computes in: f32, or f64.
    pub fn dtype(&self) -> DType {
        self.inner.dtype
    }

    /// How it lies on disk.
    pub fn stored(&self) -> &Stored {
        &self.inner.stored
    }

    pub(super) fn parts(&self) -> &Parts {
        &self.inner.parts
    }
}
