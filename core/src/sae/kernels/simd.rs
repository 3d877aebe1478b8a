//! One source, several instruction sets: a kernel is written once in plain Rust and compiled
//! for each level; the level of the machine is found when it runs.

/// What the processor can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Whatever the compiler assumes.
    Portable,
    /// 256-bit vectors with fused multiply-add.
    Avx2,
    /// 512-bit vectors with fused multiply-add.
    Avx512,
}

impl Level {
    /// The best that this machine has.
    pub fn of_machine() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            // The answers are cached by the standard library: this is a few loads.
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl") {
                return Self::Avx512;
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                return Self::Avx2;
            }
        }
        Self::Portable
    }
}

/// `a * b + c`, fused where that is one instruction (elsewhere fusing would be a slow call).
#[inline(always)]
pub(super) fn madd<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// Defines a function compiled once for each [`Level`]; in its body `FUSED` tells whether fused
/// multiply-add is one instruction.
macro_rules! for_each_level {
    ($(#[$doc:meta])* fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$doc])*
        #[allow(unsafe_code)]
        pub(super) fn $name($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn body<const FUSED: bool>($($arg: $ty),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
            fn avx512($($arg: $ty),*) $(-> $ret)? {
                body::<true>($($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($arg: $ty),*) $(-> $ret)? {
                body::<true>($($arg),*)
            }

            match $crate::sae::kernels::Level::of_machine() {
                // SAFETY: the machine has the features of this level.
                #[cfg(target_arch = "x86_64")]
                $crate::sae::kernels::Level::Avx512 => unsafe { avx512($($arg),*) },
                // SAFETY: the machine has the features of this level.
                #[cfg(target_arch = "x86_64")]
                $crate::sae::kernels::Level::Avx2 => unsafe { avx2($($arg),*) },
                _ => body::<false>($($arg),*),
            }
        }
    };
}
pub(super) use for_each_level;

/// Σ a_i b_i, in sixty-four running sums.
#[inline(always)]
pub(super) fn dot<const FUSED: bool>(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 64;
    let (a_whole, a_rest) = a.as_chunks::<LANES>();
    let (b_whole, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0f32; LANES];
    for (a, b) in a_whole.iter().zip(b_whole) {
        for i in 0..LANES {
            sums[i] = madd::<FUSED>(a[i], b[i], sums[i]);
        }
    }
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            sums[i] += sums[i + width];
        }
        width /= 2;
    }
    a_rest.iter().zip(b_rest).fold(sums[0], |sum, (a, b)| madd::<FUSED>(*a, *b, sum))
}

/// `out += Σ_j f_j w_j` over rows `w_j` of `weights` (width `out.len()`), four at a time.
///
/// `pick(j)` gives the row and its factor.
#[inline(always)]
pub(super) fn add_rows<const FUSED: bool>(
    out: &mut [f32],
    weights: &[f32],
    count: usize,
    pick: impl Fn(usize) -> (usize, f32),
) {
    let d = out.len();
    let row = |j: usize| {
        let (at, f) = pick(j);
        (&weights[at * d..][..d], f)
    };
    let mut j = 0;
    while j + 4 <= count {
        let ((w0, f0), (w1, f1), (w2, f2), (w3, f3)) = (row(j), row(j + 1), row(j + 2), row(j + 3));
        for i in 0..d {
            let sum = madd::<FUSED>(f0, w0[i], out[i]);
            let sum = madd::<FUSED>(f1, w1[i], sum);
            let sum = madd::<FUSED>(f2, w2[i], sum);
            out[i] = madd::<FUSED>(f3, w3[i], sum);
        }
        j += 4;
    }
    while j < count {
        let (w, f) = row(j);
        for i in 0..d {
            out[i] = madd::<FUSED>(f, w[i], out[i]);
        }
        j += 1;
    }
}
