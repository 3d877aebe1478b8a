//! The two number types that the CPU kernels compute in, and slices of tensors of them.

use candle_core::{
    CpuStorage, DType, Error, Layout, Result, Storage, StorageRef, Tensor, WithDType,
};

/// f32 in earnest, f64 to check precision.
pub(super) trait Real: WithDType + Default {
    /// eˣ to a few units in the last place; for f32 in a form that the compiler vectorises.
    fn exp(self) -> Self;
    fn sqrt(self) -> Self;

    #[inline(always)]
    fn of(x: f64) -> Self {
        Self::from_f64(x)
    }
}

impl Real for f32 {
    /// Cephes' polynomial after reduction by ln 2; arguments beyond ±87 count as ±87, NaN stays.
    #[inline(always)]
    fn exp(self) -> Self {
        const ROUND: f32 = 12_582_912.0; // 1.5 · 2²³: adding it leaves the nearest whole number
        let x = self.clamp(-87.0, 88.0);
        let shifted = x * std::f32::consts::LOG2_E + ROUND;
        let n = shifted - ROUND;
        let r = x - n * 0.693_359_4 - n * -2.121_944_4e-4;
        let mut p = 1.987_569_1e-4;
        p = p * r + 1.398_199_9e-3;
        p = p * r + 8.333_452e-3;
        p = p * r + 4.166_579_5e-2;
        p = p * r + 1.666_666_5e-1;
        p = p * r + 0.5;
        let y = p * (r * r) + r + 1.0;
        y * Self::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000))
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        self.sqrt()
    }
}

impl Real for f64 {
    fn exp(self) -> Self {
        self.exp()
    }

    fn sqrt(self) -> Self {
        self.sqrt()
    }
}

/// Whether the CPU kernels take this tensor.
pub(super) fn takes(x: &Tensor) -> bool {
    x.device().is_cpu() && matches!(x.dtype(), DType::F32 | DType::F64)
}

/// The numbers of a contiguous tensor on the CPU.
pub(super) struct View<'a> {
    storage: StorageRef<'a>,
    layout: &'a Layout,
}

/// Locks a tensor for reading.
pub(super) fn view(x: &Tensor) -> View<'_> {
    let (storage, layout) = x.storage_and_layout();
    View { storage, layout }
}

impl View<'_> {
    /// All its numbers.
    pub(super) fn slice<R: Real>(&self) -> Result<&[R]> {
        let Storage::Cpu(storage) = &*self.storage else {
            return Err(Error::Msg("the tensor is not on the CPU".to_owned()));
        };
        part(storage.as_slice::<R>()?, self.layout)
    }
}

fn part<'a, R>(all: &'a [R], layout: &Layout) -> Result<&'a [R]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&all[start..end]),
        None => Err(Error::Msg("the tensor is not contiguous".to_owned())),
    }
}

/// The numbers of a contiguous tensor, for a kernel that works in place.
pub(super) fn part_mut<'a, R: Real>(
    storage: &'a mut CpuStorage,
    layout: &Layout,
) -> Result<&'a mut [R]> {
    let all = match storage {
        CpuStorage::F32(values) => (values as &mut dyn std::any::Any).downcast_mut::<Vec<R>>(),
        CpuStorage::F64(values) => (values as &mut dyn std::any::Any).downcast_mut::<Vec<R>>(),
        _ => None,
    };
    match (all, layout.contiguous_offsets()) {
        (Some(all), Some((start, end))) => Ok(&mut all[start..end]),
        _ => Err(Error::Msg("the tensor cannot be worked on in place".to_owned())),
    }
}

/// Σ f(i) in sixteen interleaved sums, which the compiler keeps in vector registers.
#[inline(always)]
pub(super) fn sum<R: Real>(n: usize, f: impl Fn(usize) -> R) -> R {
    const LANES: usize = 16;
    let mut lanes = [R::zero(); LANES];
    let whole = n - n % LANES;
    let mut i = 0;
    while i < whole {
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum += f(i + lane);
        }
        i += LANES;
    }
    let mut total = R::zero();
    for lane in lanes {
        total += lane;
    }
    while i < n {
        total += f(i);
        i += 1;
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_close() {
        for i in -8700..=8800 {
            let x = i as f32 / 100.0;
            let exact = f64::from(x).exp();
            let relative = (f64::from(Real::exp(x)) - exact).abs() / exact;
            assert!(relative < 2.5e-7, "exp({x}) is off by {relative:e}");
        }
        assert!(Real::exp(f32::NAN).is_nan());
        assert_eq!(Real::exp(0f32), 1.0);
        assert!(Real::exp(-1000f32) < 1e-37);
        assert!(Real::exp(1000f32) > 1e38);
    }

    #[test]
    fn sums_take_every_term() {
        for n in 0..70 {
            assert_eq!(sum(n, |i| i as f64), (n * n.saturating_sub(1) / 2) as f64);
        }
    }
}
