//! An edited forward pass: at this site, this latent, these positions, set / add / scale / ablate.
