//! Dense arrays and lists of latents say the same.

use super::*;
use crate::sae::Matrix;

fn engine(m: usize, d: usize, dense_above: f64) -> Cpu {
    let numbers =
        |n: usize, by: f32| (0..n).map(|i| ((i * i) as f32 * by).sin()).collect::<Vec<_>>();
    let parameters = Parameters {
        encoder: Matrix::new(m, d, numbers(m * d, 0.7)).unwrap(),
        b_enc: numbers(m, 0.1),
        decoder: Matrix::new(m, d, numbers(m * d, 1.3)).unwrap(),
        b_dec: numbers(d, 0.2),
        extra: Extra::default(),
    };
    let optimizer = OptimizerState::new(&parameters);
    Cpu { dense_above, ..Cpu::new(parameters, optimizer, Wiring::Centred) }
}

#[test]
fn dense_and_listed_activations_give_the_same_gradients() {
    for penalty in [Penalty::None, Penalty::Activation(0.02), Penalty::Contribution(0.02)] {
        let (m, d, n) = (530, 12, 300);
        let rows: Vec<f32> = (0..n * d).map(|i| (i as f32 * 0.37).cos() * 2.0).collect();
        let run = |dense_above: f64| {
            let mut engine = engine(m, d, dense_above);
            let go_on = || Ok(());
            engine.load(&rows, None);
            engine.encode(Set::Main, None, Choose::Positive, false, &go_on).unwrap();
            assert_eq!(engine.main.is_dense, dense_above < 0.5);
            let sums = engine.reconstruct(Set::Main, Target::Input, 0.01, penalty, &go_on).unwrap();
            engine.scatter(Set::Main, Into::All, &go_on).unwrap();
            let mut fired = vec![false; m];
            engine.mark_fired(Set::Main, &mut fired);
            (sums, engine.active(Set::Main), fired, engine.gradients())
        };
        let (dense, listed) = (run(0.0), run(1.0));
        assert!((dense.0.squares / listed.0.squares - 1.0).abs() < 1e-5);
        assert!((dense.0.activity / listed.0.activity - 1.0).abs() < 1e-5);
        assert_eq!((dense.1, dense.2), (listed.1, listed.2));
        for ((name, a), (_, b)) in dense.3.parts().iter().zip(listed.3.parts()) {
            let largest = b.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            for (a, b) in a.iter().zip(b) {
                assert!((a - b).abs() <= 2e-5 * largest, "{name}: {a} is not {b}");
            }
        }
    }
}

/// Gradients and what else a step says, of either form.
fn same(dense: &(f64, usize, Vec<bool>, Parameters), listed: &(f64, usize, Vec<bool>, Parameters)) {
    assert!((dense.0 / listed.0 - 1.0).abs() < 1e-5);
    assert_eq!((dense.1, &dense.2), (listed.1, &listed.2));
    for ((name, a), (_, b)) in dense.3.parts().iter().zip(listed.3.parts()) {
        let largest = b.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        assert!(largest > 0.0, "{name}");
        for (a, b) in a.iter().zip(b) {
            assert!((a - b).abs() <= 2e-5 * largest, "{name}: {a} is not {b}");
        }
    }
}

fn with_extra(m: usize, d: usize, dense_above: f64, extra: Extra) -> Cpu {
    let Cpu { mut parameters, .. } = engine(m, d, dense_above);
    parameters.extra = extra;
    let optimizer = OptimizerState::new(&parameters);
    Cpu { dense_above, ..Cpu::new(parameters, optimizer, Wiring::Centred) }
}

#[test]
fn dense_and_listed_gates_give_the_same_gradients() {
    let (m, d, n) = (530, 12, 300);
    let rows: Vec<f32> = (0..n * d).map(|i| (i as f32 * 0.37).cos() * 2.0).collect();
    let go_on = || Ok(());
    let run = |dense_above: f64| {
        let numbers = |by: f32| (0..m).map(|i| (i as f32 * by).sin() * 0.3).collect();
        let extra = Extra { r_mag: numbers(0.7), b_mag: numbers(1.9), ..Extra::default() };
        let mut engine = with_extra(m, d, dense_above, extra);
        engine.load(&rows, None);
        engine.encode(Set::Auxiliary, None, Choose::Positive, false, &go_on).unwrap();
        engine.magnitudes();
        assert_eq!(engine.main.is_dense, dense_above < 0.5);
        let main =
            engine.reconstruct(Set::Main, Target::Input, 0.01, Penalty::None, &go_on).unwrap();
        engine.scatter_magnitudes(&go_on).unwrap();
        let penalty = Penalty::Activation(0.02);
        let gates =
            engine.reconstruct(Set::Auxiliary, Target::Input, 0.01, penalty, &go_on).unwrap();
        engine.scatter(Set::Auxiliary, Into::Encoder, &go_on).unwrap();
        let mut fired = vec![false; m];
        engine.mark_fired(Set::Main, &mut fired);
        let said = main.squares + gates.squares + gates.activity;
        (said, engine.active(Set::Main), fired, engine.gradients())
    };
    same(&run(0.0), &run(1.0));
}

#[test]
fn dense_and_listed_jumps_give_the_same_gradients() {
    let (m, d, n) = (530, 12, 300);
    let rows: Vec<f32> = (0..n * d).map(|i| (i as f32 * 0.37).cos() * 2.0).collect();
    let go_on = || Ok(());
    for on_f in [false, true] {
        let run = |dense_above: f64| {
            let threshold = (0..m).map(|i| (i as f32 * 0.7).sin().abs()).collect();
            let extra = Extra { threshold, ..Extra::default() };
            let mut engine = with_extra(m, d, dense_above, extra);
            engine.load(&rows, None);
            engine.encode_jump(0.4, true, &go_on).unwrap();
            assert_eq!(engine.main.is_dense, dense_above < 0.5);
            let main = engine.reconstruct(Set::Main, Target::Input, 0.01, Penalty::None, &go_on);
            engine.scatter_jump(0.4, 0.05, on_f, &go_on).unwrap();
            let dead: Vec<u32> = (0..m as u32).step_by(7).collect();
            let short = engine.pull_up(&dead, 0.03, &go_on).unwrap();
            let mut fired = vec![false; m];
            engine.mark_fired(Set::Main, &mut fired);
            let said = main.unwrap().squares + short;
            (said, engine.active(Set::Main), fired, engine.gradients())
        };
        same(&run(0.0), &run(1.0));
    }
}
