//! Matrix products on slices, by the gemm crate behind bounds that are checked.

use super::real::Real;
use rayon::prelude::*;

/// Where a matrix lies in a slice: element (i, j) at `start + i * rows + j * columns`.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a, R> {
    pub data: &'a [R],
    /// Step from a row to the next.
    pub row: usize,
    /// Step from a column to the next.
    pub column: usize,
}

impl<'a, R> Matrix<'a, R> {
    /// Rows one after the other, `row` apart.
    pub(super) fn rows(data: &'a [R], row: usize) -> Self {
        Self { data, row, column: 1 }
    }

    /// The transpose.
    pub(super) fn t(self) -> Self {
        Self { data: self.data, row: self.column, column: self.row }
    }

    fn holds(&self, rows: usize, columns: usize) -> bool {
        rows == 0
            || columns == 0
            || (rows - 1) * self.row + (columns - 1) * self.column < self.data.len()
    }
}

/// How a product is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Write {
    /// Over what was there.
    Set,
    /// Onto what was there.
    Add,
}

/// Whether a product may use every thread, or is part of work that already does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Threads {
    All,
    One,
}

/// `out[m, n] = a[m, k] b[k, n]`, rows of `out` being `out_row` apart.
pub(super) fn product<R: Real>(
    (m, n, k): (usize, usize, usize),
    out: &mut [R],
    out_row: usize,
    a: Matrix<'_, R>,
    b: Matrix<'_, R>,
    write: Write,
    threads: Threads,
) {
    assert!(m == 0 || n == 0 || (out_row >= n && (m - 1) * out_row + n <= out.len()));
    // SAFETY: `out` holds the m × n elements that `out_row` reaches (asserted above).
    #[allow(unsafe_code)]
    unsafe {
        into_raw((m, n, k), out.as_mut_ptr(), out_row, a, b, write, threads);
    }
}

/// A new `[m, n]` matrix `a b`.
pub(super) fn new_product<R: Real>(
    (m, n, k): (usize, usize, usize),
    a: Matrix<'_, R>,
    b: Matrix<'_, R>,
    threads: Threads,
) -> Vec<R> {
    let mut out = Vec::with_capacity(m * n);
    // SAFETY: the vector has room for m × n elements, `Set` reads none of them and writes each, so
    // that all are set when the length says so.
    #[allow(unsafe_code)]
    unsafe {
        into_raw((m, n, k), out.as_mut_ptr(), n, a, b, Write::Set, threads);
        out.set_len(m * n);
    }
    out
}

/// `x wᵀ` for rows `x` `[m, k]` and a matrix `w` `[n, k]`.
///
/// The product reads `w` down its columns: turned over once, it need not be packed for every block
/// of rows, which pays only where there are very many. A single row is a sweep over `w`, which all
/// threads share.
pub(super) fn rows_times<R: Real>((m, n, k): (usize, usize, usize), x: &[R], w: &[R]) -> Vec<R> {
    const FEW: usize = 512;
    const SHARE: usize = 64;
    if m == 1 {
        let mut out = vec![R::zero(); n];
        out.par_chunks_mut(SHARE).zip(w.par_chunks(SHARE * k)).for_each(|(out, w)| {
            let n = out.len();
            let (x, w) = (Matrix::rows(x, k), Matrix::rows(w, k).t());
            product((1, n, k), out, n, x, w, Write::Set, Threads::One);
        });
        return out;
    }
    if m < FEW {
        let w = Matrix::rows(w, k).t();
        return new_product((m, n, k), Matrix::rows(x, k), w, Threads::All);
    }
    let turned = transpose(w, n, k);
    new_product((m, n, k), Matrix::rows(x, k), Matrix::rows(&turned, n), Threads::All)
}

/// The `[columns, rows]` transpose of a `[rows, columns]` matrix.
fn transpose<R: Real>(x: &[R], rows: usize, columns: usize) -> Vec<R> {
    const TILE: usize = 16;
    let mut out = vec![R::zero(); rows * columns];
    out.par_chunks_mut(TILE * rows.max(1)).enumerate().for_each(|(tile, out)| {
        let first = tile * TILE;
        for (start, x) in (0..rows).step_by(TILE).zip(x.chunks(TILE * columns)) {
            for (i, row) in x.chunks_exact(columns).enumerate() {
                for (j, out) in out.chunks_exact_mut(rows).enumerate() {
                    out[start + i] = row[first + j];
                }
            }
        }
    });
    out
}

/// # Safety
/// `out` must be valid for writes (with `Add`: and hold numbers) at `i * out_row + j` for all i < m
/// and j < n.
#[allow(unsafe_code)]
unsafe fn into_raw<R: Real>(
    (m, n, k): (usize, usize, usize),
    out: *mut R,
    out_row: usize,
    a: Matrix<'_, R>,
    b: Matrix<'_, R>,
    write: Write,
    threads: Threads,
) {
    assert!(a.holds(m, k) && b.holds(k, n), "a product reaches beyond its matrices");
    let parallelism = match threads {
        Threads::All => gemm::Parallelism::Rayon(0),
        Threads::One => gemm::Parallelism::None,
    };
    // SAFETY: `a` and `b` hold every element that the sizes and steps reach (asserted above), and
    // are borrowed, so that `out`, which is valid by this function's own condition, overlaps
    // neither. R is f32 or f64, which gemm computes.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out,
            1,
            out_row as isize,
            write == Write::Add,
            a.data.as_ptr(),
            a.column as isize,
            a.row as isize,
            b.data.as_ptr(),
            b.column as isize,
            b.row as isize,
            R::one(),
            R::one(),
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_agree_with_the_definition() {
        let a: Vec<f64> = (0..15).map(f64::from).collect();
        let b: Vec<f64> = (0..20).map(|x| f64::from(x) - 7.0).collect();
        for (m, n, k) in [(3, 4, 5), (1, 4, 5), (3, 1, 5), (2, 3, 1)] {
            let (ma, mb) = (Matrix::rows(&a, 5), Matrix::rows(&b, 5).t());
            let mut out = vec![1.0; m * 6];
            product((m, n, k), &mut out, 6, ma, mb, Write::Add, Threads::One);
            let new = new_product((m, n, k), ma, mb, Threads::All);
            for i in 0..m {
                for j in 0..6 {
                    let dot: f64 = (0..k).map(|l| a[i * 5 + l] * b[(j % 4) * 5 + l]).sum();
                    let wanted = if j < n { 1.0 + dot } else { 1.0 };
                    assert_eq!(out[i * 6 + j], wanted);
                    if j < n {
                        assert_eq!(new[i * n + j], dot);
                    }
                }
            }
        }
    }

    #[test]
    fn rows_times_a_matrix() {
        let number = |i: usize| ((i * 37 + 11) % 101) as f64;
        for (m, n, k) in [(1, 70, 5), (2, 3, 4), (40, 35, 18), (33, 1, 17), (513, 35, 18)] {
            let x: Vec<f64> = (0..m * k).map(number).collect();
            let w: Vec<f64> = (0..n * k).map(number).collect();
            let out = rows_times((m, n, k), &x, &w);
            for i in 0..m {
                for j in 0..n {
                    let dot: f64 = (0..k).map(|l| x[i * k + l] * w[j * k + l]).sum();
                    assert_eq!(out[i * n + j], dot);
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "beyond")]
    fn a_matrix_too_small_is_refused() {
        let a = [0f32; 5];
        new_product((2, 2, 3), Matrix::rows(&a, 3), Matrix::rows(&a, 2), Threads::One);
    }
}
