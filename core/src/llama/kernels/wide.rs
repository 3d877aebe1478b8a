//! Loops compiled once more for the wide vectors of the processor at hand.

/// Runs `f` as compiled for the widest vectors that this processor has. `f` must be a closure
/// marked `#[inline(always)]`, as must be whatever it calls: only what is inlined is widened.
// FnMut, not FnOnce: a borrowing closure that is called once goes through a shim that is never
// inlined.
#[inline(always)]
pub(super) fn wide<T>(mut f: impl FnMut() -> T) -> T {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
        {
            // SAFETY: the processor has these features, as just asked.
            #[allow(unsafe_code)]
            return unsafe { avx512(f) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has this feature, as just asked.
            #[allow(unsafe_code)]
            return unsafe { avx2(f) };
        }
    }
    f()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn avx512<T>(mut f: impl FnMut() -> T) -> T {
    f()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2<T>(mut f: impl FnMut() -> T) -> T {
    f()
}
