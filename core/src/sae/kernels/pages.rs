//! Large pages: gathering rows of a dictionary jumps about in tens of megabytes, and with pages
//! of 4 KiB every jump also has to look up where its page is.

/// Asks that `data` lie in pages of 2 MiB, those already in use included. Where the system does
/// not do that, nothing happens.
pub fn prefer_large<T>(data: &[T]) {
    #[cfg(target_os = "linux")]
    linux(data);
    #[cfg(not(target_os = "linux"))]
    let _ = data;
}

#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn linux<T>(data: &[T]) {
    const LARGE: usize = 2 << 20;
    let (begin, bytes) = (data.as_ptr() as usize, size_of_val(data));
    let from = begin.next_multiple_of(LARGE);
    let to = (begin + bytes) / LARGE * LARGE;
    if from >= to {
        return;
    }
    let at = data.as_ptr().wrapping_byte_add(from - begin).cast_mut().cast();
    // SAFETY: `from..to` lies within `data`; both pieces of advice leave its content as it is.
    // Refused advice changes nothing, so that the answers do not matter.
    unsafe {
        libc::madvise(at, to - from, libc::MADV_HUGEPAGE);
        libc::madvise(at, to - from, libc::MADV_COLLAPSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_stays() {
        let numbers: Vec<u32> = (0..3 << 20).collect();
        prefer_large(&numbers);
        prefer_large::<u32>(&[]);
        prefer_large(&numbers[5..1000]);
        assert!(numbers.iter().enumerate().all(|(i, v)| i == *v as usize));
    }
}
