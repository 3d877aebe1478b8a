//! The fast kernels against the portable ones, in f64 and f32.

use super::*;
use candle_core::Device;

fn noise(seed: u64, shape: &[usize], dtype: DType) -> Tensor {
    let mut state = seed;
    let values: Vec<f64> = (0..shape.iter().product())
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(0x1234_5679);
            (state >> 33) as f64 / f64::from(1u32 << 30) - 1.0
        })
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
}

fn near(fast: &Tensor, portable: &Tensor, tolerance: f64) {
    assert_eq!(fast.dims(), portable.dims());
    let numbers = |x: &Tensor| -> Vec<f64> {
        x.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    };
    for (a, b) in numbers(fast).iter().zip(numbers(portable)) {
        assert!((a - b).abs() <= tolerance, "{a} instead of {b}");
    }
}

const KINDS: [(DType, f64); 2] = [(DType::F64, 1e-12), (DType::F32, 2e-5)];

fn all_rules() -> Vec<Rules> {
    let on = |i: usize| Rules {
        freeze_norm: i & 1 > 0,
        freeze_pattern: i & 2 > 0,
        freeze_gate: i & 4 > 0,
        halve_products: i & 8 > 0,
    };
    (0..16).map(on).collect()
}

#[test]
fn norm() {
    for (dtype, tolerance) in KINDS {
        for (rows, width) in [(1, 2), (33, 17), (70, 32)] {
            let (x, w) = (noise(1, &[rows, width], dtype), noise(2, &[width], dtype));
            let dy = noise(3, &[rows, width], dtype);
            let eps = 1e-3;
            near(
                &rms_norm(&x, &w, eps).unwrap(),
                &portable::rms_norm(&x, &w, eps).unwrap(),
                tolerance,
            );
            for rules in all_rules() {
                let (dx, dw) = rms_norm_backward(&dy, &x, &w, eps, &rules, true).unwrap();
                let (px, pw) = portable::rms_norm_backward(&dy, &x, &w, eps, &rules, true).unwrap();
                near(&dx, &px, tolerance * 10.0);
                near(&dw.unwrap(), &pw.unwrap(), tolerance * 10.0);
                assert!(rms_norm_backward(&dy, &x, &w, eps, &rules, false).unwrap().1.is_none());
            }
        }
    }
}

#[test]
fn gate() {
    for (dtype, tolerance) in KINDS {
        let x = (noise(4, &[37, 2 * 19], dtype) * 20.0).unwrap();
        let dy = noise(5, &[37, 19], dtype);
        near(&silu_mul(&x).unwrap(), &portable::silu_mul(&x).unwrap(), tolerance * 10.0);
        for rules in all_rules() {
            near(
                &silu_mul_backward(&dy, &x, &rules).unwrap(),
                &portable::silu_mul_backward(&dy, &x, &rules).unwrap(),
                tolerance * 10.0,
            );
        }
    }
}

#[test]
fn products() {
    for (dtype, tolerance) in KINDS {
        let (x, w) = (noise(6, &[70, 33], dtype), noise(7, &[21, 33], dtype));
        let dy = noise(8, &[70, 21], dtype);
        near(&linear(&x, &w).unwrap(), &x.matmul(&w.t().unwrap()).unwrap(), tolerance);
        near(&linear_backward(&dy, &w).unwrap(), &dy.matmul(&w).unwrap(), tolerance);
        near(&linear_weight(&dy, &x).unwrap(), &dy.t().unwrap().matmul(&x).unwrap(), tolerance);
    }
}

#[test]
fn attention_and_rotation() {
    let shapes = [(1, 1, 1, 1, 2), (2, 5, 4, 2, 8), (3, 33, 3, 3, 6), (1, 97, 6, 2, 10)];
    for (dtype, tolerance) in KINDS {
        for (batch, positions, heads, kv_heads, head_dim) in shapes {
            let s = AttentionShape { batch, positions, heads, kv_heads, head_dim, from: 0 };
            let rows = batch * positions;
            let qkv = noise(9, &[rows, (heads + 2 * kv_heads) * head_dim], dtype);
            let qkv = (qkv * 3.0).unwrap();
            let dz = noise(10, &[rows, heads * head_dim], dtype);
            let angles = (noise(11, &[positions, head_dim / 2], dtype) * 3.0).unwrap();
            let table = Table { cos: angles.cos().unwrap(), sin: angles.sin().unwrap() };
            near(&attention(&qkv, &s).unwrap(), &portable::attention(&qkv, &s).unwrap(), tolerance);
            for rules in [Rules::default(), Rules { freeze_pattern: true, ..Rules::default() }] {
                near(
                    &attention_backward(&dz, &qkv, &s, &rules).unwrap(),
                    &portable::attention_backward(&dz, &qkv, &s, &rules).unwrap(),
                    tolerance * 10.0,
                );
            }
            // Only the last queries: the last rows of what all of them give.
            let asked = positions.div_ceil(2);
            let s_last = AttentionShape { from: positions - asked, ..s };
            let last = |x: &Tensor| -> Tensor {
                let x = x.reshape((batch, positions, ())).unwrap();
                let x = x.narrow(1, positions - asked, asked).unwrap().contiguous().unwrap();
                x.reshape((batch * asked, ())).unwrap()
            };
            let z = portable::attention(&qkv, &s).unwrap();
            near(&attention(&qkv, &s_last).unwrap(), &last(&z), tolerance);
            near(&portable::attention(&qkv, &s_last).unwrap(), &last(&z), tolerance);
            let dz_last = last(&dz);
            near(
                &attention_backward(&dz_last, &qkv, &s_last, &Rules::default()).unwrap(),
                &portable::attention_backward(&dz_last, &qkv, &s_last, &Rules::default()).unwrap(),
                tolerance * 10.0,
            );
            let turned = rotate(qkv.copy().unwrap(), &s, &table).unwrap();
            near(&turned, &portable::rotate(&qkv, &s, &table, false).unwrap(), tolerance);
            near(&rotate_back(turned, &s, &table).unwrap(), &qkv, tolerance);
        }
    }
}

#[test]
#[ignore = "measures"]
fn speed() {
    let time = |what: &str, flop: f64, f: &mut dyn FnMut()| {
        f();
        let mut best = f64::INFINITY;
        for _ in 0..20 {
            let start = std::time::Instant::now();
            f();
            best = best.min(start.elapsed().as_secs_f64());
        }
        println!("{what}: {:.2} ms, {:.1} G/s", best * 1e3, flop / best / 1e9);
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(|| {
        for rows in [128usize, 512, 4096] {
            let x = noise(1, &[rows, 288], DType::F32);
            let w = noise(2, &[1536, 288], DType::F32);
            let y = noise(1, &[rows, 1536], DType::F32);
            let flop = (rows * 288 * 1536 * 2) as f64;
            time(&format!("{rows} linear"), flop, &mut || drop(linear(&x, &w).unwrap()));
            time(&format!("{rows} backward"), flop, &mut || drop(linear_backward(&y, &w).unwrap()));
            time(&format!("{rows} weight"), flop, &mut || drop(linear_weight(&y, &x).unwrap()));
            time(&format!("{rows} silu"), (rows * 768) as f64, &mut || drop(silu_mul(&y).unwrap()));
            let w = noise(2, &[288], DType::F32);
            time(&format!("{rows} norm"), (rows * 288) as f64, &mut || {
                drop(rms_norm(&x, &w, 1e-5).unwrap())
            });
            time(&format!("{rows} add"), (rows * 288) as f64, &mut || drop((&x + &x).unwrap()));
            let s = AttentionShape {
                batch: rows / 128,
                positions: 128,
                heads: 6,
                kv_heads: 6,
                head_dim: 48,
                from: 0,
            };
            let qkv = noise(3, &[rows, 288 * 3], DType::F32);
            let flop = (rows * 128 * 288 * 4 / 2) as f64;
            time(&format!("{rows} attention"), flop, &mut || drop(attention(&qkv, &s).unwrap()));
            let angles = noise(11, &[128, 24], DType::F32);
            let table = Table { cos: angles.cos().unwrap(), sin: angles.sin().unwrap() };
            time(&format!("{rows} rotate"), (rows * 576) as f64, &mut || {
                drop(rotate(qkv.clone(), &s, &table).unwrap())
            });
            let dz = noise(3, &[rows, 288], DType::F32);
            time(&format!("{rows} attention back"), flop, &mut || {
                drop(attention_backward(&dz, &qkv, &s, &Rules::default()).unwrap())
            });
        }
    });
}
