//! Causal attention on a CPU: blocks of queries against the keys they can see.

use super::gemm::{Matrix, Threads, Write, product};
use super::real::{Real, sum, view};
use super::wide::wide;
use super::{AttentionShape, Rules};
use candle_core::{Result, Tensor};
use rayon::prelude::*;

/// Queries of one block. Small, so that one short text still keeps several threads busy.
const BLOCK: usize = 32;

/// Where queries, keys and values of a sequence lie in its rows of `qkv`.
#[derive(Clone, Copy)]
struct Layout {
    s: AttentionShape,
    row: usize,
}

impl Layout {
    fn new(s: AttentionShape) -> Self {
        Self { s, row: (s.heads + 2 * s.kv_heads) * s.head_dim }
    }

    fn query<'a, R>(&self, qkv: &'a [R], head: usize, first: usize) -> Matrix<'a, R> {
        Matrix::rows(&qkv[first * self.row + head * self.s.head_dim..], self.row)
    }

    fn key<'a, R>(&self, qkv: &'a [R], kv: usize) -> Matrix<'a, R> {
        Matrix::rows(&qkv[(self.s.heads + kv) * self.s.head_dim..], self.row)
    }

    fn value<'a, R>(&self, qkv: &'a [R], kv: usize) -> Matrix<'a, R> {
        Matrix::rows(&qkv[(self.s.heads + self.s.kv_heads + kv) * self.s.head_dim..], self.row)
    }
}

/// Softmax over the first `seen` scores of a row, each times `scale`; zero beyond.
#[inline(always)]
fn softmax<R: Real>(row: &mut [R], seen: usize, scale: R) {
    let (row, beyond) = row.split_at_mut(seen);
    let mut top = row[0];
    for x in row.iter() {
        top = if *x > top { *x } else { top };
    }
    for x in row.iter_mut() {
        *x = ((*x - top) * scale).exp();
    }
    let norm = R::one() / sum(seen, |i| row[i]);
    for x in row.iter_mut() {
        *x *= norm;
    }
    beyond.fill(R::zero());
}

/// The attention weights of `rows` queries from `first` on, `[rows, first + rows]`.
fn pattern<R: Real>(
    l: &Layout,
    qkv: &[R],
    (head, kv): (usize, usize),
    (first, rows): (usize, usize),
    out: &mut [R],
) {
    let end = first + rows;
    let (q, k) = (l.query(qkv, head, first), l.key(qkv, kv));
    product((rows, end, l.s.head_dim), out, end, q, k.t(), Write::Set, Threads::One);
    let scale = R::of(l.s.scale());
    wide(
        #[inline(always)]
        || {
            for (i, row) in out[..rows * end].chunks_exact_mut(end).enumerate() {
                softmax(row, first + i + 1, scale);
            }
        },
    );
}

pub(super) fn attention<R: Real>(qkv: &Tensor, s: &AttentionShape) -> Result<Tensor> {
    let locked = view(qkv);
    let all = locked.slice::<R>()?;
    let l = Layout::new(*s);
    let z_row = s.heads * s.head_dim;
    let mut z = vec![R::zero(); s.batch * s.asked() * z_row];
    let sequences = z.par_chunks_mut(s.asked() * z_row).zip(all.par_chunks(s.positions * l.row));
    sequences.for_each(|(z, qkv)| {
        z.par_chunks_mut(BLOCK * z_row).enumerate().for_each(|(block, z)| {
            let (first, rows) = (s.from + block * BLOCK, z.len() / z_row);
            let end = first + rows;
            let mut p = vec![R::zero(); rows * end];
            for head in 0..s.heads {
                let kv = head / (s.heads / s.kv_heads);
                pattern(&l, qkv, (head, kv), (first, rows), &mut p);
                let z = &mut z[head * s.head_dim..];
                let (p, v) = (Matrix::rows(&p, end), l.value(qkv, kv));
                product((rows, s.head_dim, end), z, z_row, p, v, Write::Set, Threads::One);
            }
        });
    });
    Tensor::from_vec(z, (s.batch * s.asked(), z_row), qkv.device())
}

pub(super) fn attention_backward<R: Real>(
    dz: &Tensor,
    qkv: &Tensor,
    s: &AttentionShape,
    rules: &Rules,
) -> Result<Tensor> {
    let (qkvs, dzs) = (view(qkv), view(dz));
    let (all, dz_all) = (qkvs.slice::<R>()?, dzs.slice::<R>()?);
    let l = Layout::new(*s);
    let (group, z_row) = (s.heads / s.kv_heads, s.heads * s.head_dim);
    let plane = s.positions * s.head_dim;
    // One task per key-value head: the gradients of its query heads, its key, its value.
    let mut parts = vec![R::zero(); s.batch * s.kv_heads * (group + 2) * plane];
    parts.par_chunks_mut((group + 2) * plane).enumerate().for_each(|(task, part)| {
        let (sequence, kv) = (task / s.kv_heads, task % s.kv_heads);
        let qkv = &all[sequence * s.positions * l.row..][..s.positions * l.row];
        let dz = &dz_all[sequence * s.asked() * z_row..][..s.asked() * z_row];
        let (dq, rest) = part.split_at_mut(group * plane);
        let (dk, dv) = rest.split_at_mut(plane);
        let mut p = vec![R::zero(); BLOCK.min(s.positions) * s.positions];
        let mut ds = p.clone();
        for (i, dq) in dq.chunks_exact_mut(plane).enumerate() {
            let head = kv * group + i;
            for first in (s.from..s.positions).step_by(BLOCK) {
                let rows = BLOCK.min(s.positions - first);
                let dz = &dz[(first - s.from) * z_row + head * s.head_dim..];
                let dz = Matrix::rows(dz, z_row);
                pattern(&l, qkv, (head, kv), (first, rows), &mut p);
                let block = Block { l: &l, qkv, head, kv, first, rows, dz };
                block.value(&p, dv);
                if !rules.freeze_pattern {
                    block.scores(&p, &mut ds);
                    block.query_and_key(&ds, dq, dk);
                }
            }
        }
    });
    let mut out = vec![R::zero(); s.batch * s.asked() * l.row];
    out.par_chunks_mut(l.row).enumerate().for_each(|(row, out)| {
        let (sequence, position) = (row / s.asked(), s.from + row % s.asked());
        let parts = &parts[sequence * s.kv_heads * (group + 2) * plane..];
        for (column, out) in out.chunks_exact_mut(s.head_dim).enumerate() {
            let (kv, i) = if column < s.heads {
                (column / group, column % group)
            } else if column < s.heads + s.kv_heads {
                (column - s.heads, group)
            } else {
                (column - s.heads - s.kv_heads, group + 1)
            };
            let start = (kv * (group + 2) + i) * plane + position * s.head_dim;
            out.copy_from_slice(&parts[start..][..s.head_dim]);
        }
    });
    Tensor::from_vec(out, (s.batch * s.asked(), l.row), qkv.device())
}

/// A block of queries of one head, on the way back.
struct Block<'a, R> {
    l: &'a Layout,
    qkv: &'a [R],
    head: usize,
    kv: usize,
    first: usize,
    rows: usize,
    dz: Matrix<'a, R>,
}

impl<R: Real> Block<'_, R> {
    fn end(&self) -> usize {
        self.first + self.rows
    }

    /// dv += pᵀ dz.
    fn value(&self, p: &[R], dv: &mut [R]) {
        let d = self.l.s.head_dim;
        let p = Matrix::rows(p, self.end()).t();
        product((self.end(), d, self.rows), dv, d, p, self.dz, Write::Add, Threads::One);
    }

    /// ds = p (dp − Σ p dp) · scale, with dp = dz vᵀ.
    fn scores(&self, p: &[R], ds: &mut [R]) {
        let (end, scale) = (self.end(), R::of(self.l.s.scale()));
        let v = self.l.value(self.qkv, self.kv).t();
        let size = (self.rows, end, self.l.s.head_dim);
        product(size, ds, end, self.dz, v, Write::Set, Threads::One);
        wide(
            #[inline(always)]
            || {
                let rows = ds[..self.rows * end].chunks_exact_mut(end).zip(p.chunks_exact(end));
                for (ds, p) in rows {
                    let along = sum(end, |i| ds[i] * p[i]);
                    for (ds, p) in ds.iter_mut().zip(p) {
                        *ds = (*ds - along) * *p * scale;
                    }
                }
            },
        );
    }

    /// dq = ds k; dk += dsᵀ q.
    fn query_and_key(&self, ds: &[R], dq: &mut [R], dk: &mut [R]) {
        let (d, end) = (self.l.s.head_dim, self.end());
        let ds = Matrix::rows(ds, end);
        let k = self.l.key(self.qkv, self.kv);
        let dq = &mut dq[self.first * d..];
        product((self.rows, d, end), dq, d, ds, k, Write::Set, Threads::One);
        let q = self.l.query(self.qkv, self.head, self.first);
        product((end, d, self.rows), dk, d, ds.t(), q, Write::Add, Threads::One);
    }
}
