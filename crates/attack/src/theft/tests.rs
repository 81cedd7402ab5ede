//! What every way of asking must pass, on a small model of a generated table.

use super::*;
use crate::access::{Labels, Replies, Rows, Scores};
use crate::evasion::Target;
use crate::pace::{Pace, Quiet};
use crate::training::small::{Generated, Small, table};
use crate::training::{AsIs, Samples, Trainer as _};

const TRAINER: Small = Small { hidden: 0, epochs: 60, rate: 0.1 };

struct Scene {
    pool: Generated,
    test: Generated,
    victim: Box<dyn Trained>,
}

fn scene() -> Scene {
    let train = table(400, 6, 6, 0.1, 1);
    let mut trainer = TRAINER;
    let victim = trainer.train(&train.samples().training(&Quiet), 5, &mut AsIs).unwrap();
    Scene { pool: table(400, 6, 6, 0.1, 2), test: table(300, 6, 6, 0.1, 3), victim }
}

fn theft<'a>(pool: &'a [f32], test: Samples<'a>, budgets: &'a [usize], answers: Answers) -> Theft<'a> {
    Theft { pool, test, referee: None, budgets, answers, seed: 3, pace: &Quiet }
}

fn run(name: &str, victim: Target<'_>, theft: &Theft<'_>) -> Result<Extraction, Fault> {
    let registered = find(name).unwrap();
    let strategy = (registered.build)(&serde_json::Value::Null).unwrap();
    extract(victim, &mut { TRAINER }, registered, strategy.as_ref(), theft)
}

/// Steals with hard labels and with soft ones; gives back the latter.
pub(crate) fn steal(name: &str, budgets: &[usize]) -> Extraction {
    let mut scene = scene();
    let mut counted = Counted { model: scene.victim.as_mut(), asked: 0, refuse: false };
    let mut last = None;
    for answers in [Answers::Labels, Answers::Scores] {
        counted.asked = 0;
        let theft = theft(&scene.pool.rows, scene.test.samples(), budgets, answers);
        let found = run(name, Target::Scores(&mut counted), &theft).unwrap();
        let queries = found.points.last().unwrap().queries;
        assert_eq!(
            counted.asked,
            queries + 300,
            "every row that was asked is counted, and the 300 of the referee are not"
        );
        assert!(found.victim.share > 0.8 && found.fault.is_none() && !found.stopped);
        assert!(found.points.iter().all(|p| p.queries == p.answered));
        let again = run(name, Target::Scores(&mut counted), &theft).unwrap();
        assert_eq!(found, again, "same seed, same curve");
        last = Some(found);
    }
    last.unwrap()
}

/// Counts rows, and refuses every other one on demand.
struct Counted<'m> {
    model: &'m mut dyn Trained,
    asked: u64,
    refuse: bool,
}

impl Labels for Counted<'_> {
    fn space(&self) -> Space {
        self.model.space()
    }

    fn labels(&mut self, rows: Rows<'_>, out: &mut Vec<Option<usize>>) -> Result<(), Fault> {
        self.asked += rows.len() as u64;
        self.model.labels(rows, out)?;
        let refuse = self.refuse;
        out.iter_mut().skip(1).step_by(2).filter(|_| refuse).for_each(|l| *l = None);
        Ok(())
    }
}

impl Scores for Counted<'_> {
    fn scores(&mut self, rows: Rows<'_>, out: &mut Replies) -> Result<(), Fault> {
        self.asked += rows.len() as u64;
        self.model.scores(rows, out)?;
        let refuse = self.refuse;
        out.answered.iter_mut().skip(1).step_by(2).filter(|_| refuse).for_each(|a| *a = false);
        Ok(())
    }
}

#[test]
fn refused_queries_are_counted_and_teach_nothing() {
    let mut scene = scene();
    let referee = vec![Some(0); 300];
    let mut victim = Counted { model: scene.victim.as_mut(), asked: 0, refuse: true };
    for answers in [Answers::Labels, Answers::Scores] {
        let mut theft = theft(&scene.pool.rows, scene.test.samples(), &[200], answers);
        theft.referee = Some(&referee);
        let found = run("extraction-in-distribution", Target::Scores(&mut victim), &theft).unwrap();
        assert_eq!((found.points[0].queries, found.points[0].answered), (200, 100));
    }
    assert_eq!(victim.asked, 400, "a known referee is not asked");
}

#[test]
fn a_model_that_only_decides_cannot_be_asked_for_probabilities() {
    let mut scene = scene();
    let mut victim = Counted { model: scene.victim.as_mut(), asked: 0, refuse: false };
    let soft = theft(&scene.pool.rows, scene.test.samples(), &[50], Answers::Scores);
    assert!(matches!(
        run("extraction-random", Target::Labels(&mut victim), &soft),
        Err(Fault::NotApplicable(_))
    ));
    let hard = Theft { answers: Answers::Labels, ..soft };
    assert!(run("extraction-random", Target::Labels(&mut victim), &hard).is_ok());
    let none = Theft { budgets: &[0], ..hard };
    assert!(run("extraction-random", Target::Labels(&mut victim), &none).is_err());
    let poor = Theft { pool: &[], ..hard };
    assert!(run("extraction-in-distribution", Target::Labels(&mut victim), &poor).is_err());
    assert!(run("extraction-jacobian", Target::Labels(&mut victim), &poor).is_ok(), "noise will do");
}

struct StopAfter(std::cell::Cell<u64>);

impl Pace for StopAfter {
    fn stop(&self) -> bool {
        self.0.get() >= 300
    }

    fn step(&self, done: u64, _total: u64) {
        self.0.set(done);
    }
}

#[test]
fn the_curve_up_to_a_stop_is_kept() {
    let mut scene = scene();
    let pace = StopAfter(std::cell::Cell::new(0));
    let mut theft = theft(&scene.pool.rows, scene.test.samples(), &[100, 400], Answers::Scores);
    theft.pace = &pace;
    let victim = Target::Gradients(scene.victim.as_mut());
    let found = run("extraction-in-distribution", victim, &theft).unwrap();
    assert!(found.stopped && found.points.len() == 1 && found.points[0].queries == 100);
}

#[test]
fn unknown_parameters_are_refused_everywhere() {
    for strategy in STRATEGIES {
        assert!((strategy.build)(&serde_json::json!({ "no-such": 1 })).is_err(), "{}", strategy.entry.name);
    }
    assert_eq!(STRATEGIES.len(), ENTRIES.len());
}
