//! The curves that go with a dictionary, thinned so that a long run's stay small.

use crate::sae::TrainPoint;

/// Points kept at most.
const MOST: usize = 2000;

/// Keeps every point at first; whenever there are too many, every second one goes.
#[derive(Debug)]
pub(super) struct History {
    points: Vec<TrainPoint>,
    /// A point is kept if its step is a multiple of this.
    stride: u64,
}

impl History {
    pub(super) fn new(points: Vec<TrainPoint>) -> Self {
        let mut history = Self { points, stride: 1 };
        // The stride is a function of how many steps there were, so that a run that goes on
        // keeps the same points as one that was never broken off.
        let last = history.points.last().map_or(0, |p| p.step);
        while last / history.stride >= MOST as u64 {
            history.stride *= 2;
        }
        history
    }

    pub(super) fn push(&mut self, point: TrainPoint) {
        if point.step.is_multiple_of(self.stride) {
            self.points.push(point);
        }
        while point.step / self.stride >= MOST as u64 {
            self.stride *= 2;
            let stride = self.stride;
            self.points.retain(|p| p.step.is_multiple_of(stride) || p.loss_recovered.is_some());
        }
    }

    /// Keeps a point whatever its step: one with an evaluation.
    pub(super) fn keep(&mut self, point: TrainPoint) {
        if self.points.last().is_some_and(|last| last.step == point.step) {
            self.points.pop();
        }
        self.points.push(point);
    }

    pub(super) fn points(&self) -> &[TrainPoint] {
        &self.points
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(step: u64) -> TrainPoint {
        TrainPoint { step, ..TrainPoint::default() }
    }

    #[test]
    fn stays_small_and_does_not_depend_on_breaks() {
        let mut whole = History::new(Vec::new());
        let mut broken = History::new(Vec::new());
        for step in 1..=20_000 {
            whole.push(point(step));
            broken.push(point(step));
            if step % 777 == 0 {
                broken = History::new(broken.points().to_vec());
            }
            assert!(whole.points().len() <= MOST);
        }
        assert!(whole.points().len() >= MOST / 2);
        assert_eq!(whole.points(), broken.points());
    }
}
