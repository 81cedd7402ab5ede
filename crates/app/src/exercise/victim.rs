//! The model under attack, at the access that the exercise has: a file in this process, or a server that shows its outputs only.

use std::collections::BTreeMap;
use std::sync::Arc;

use attack::evasion::{Access, Target};
use attack::scorecard::{Passage, Sighted, Single};
use attack::suite::{Chunk, Piece, Step};
use attack::{Fault, Labels, Replies, Rows, Scores, Space};
use runtime::{Classifier, Differentiable};

use super::data::Rows as Held;
use super::remote::RemoteModel;
use super::through_model::{Book, Post, ThroughModel};
use crate::AppError;

/// A model, from which each thread makes its own.
pub(super) enum Source {
    /// In this process; whether it can be walked backwards.
    Local { model: Box<Classifier>, gradients: bool },
    /// Somebody else's server.
    Remote(Box<RemoteModel>),
    /// Behind a gateway with the system's guards; the model itself beside, for attacks that are made with it and sent once.
    Through { post: Arc<Post>, beside: Box<Source> },
}

/// A model of one thread.
pub(super) enum Victim {
    /// In this process, with gradients.
    White(Box<Differentiable>),
    /// In this process, without.
    Grey(Box<Classifier>),
    /// Somebody else's server.
    Remote(Box<RemoteModel>),
    /// Behind a gateway; the model itself beside, where it has gradients.
    Through { model: Box<ThroughModel>, white: Option<Box<Differentiable>> },
}

impl Source {
    /// A model in this process; says why when it has no gradients.
    pub(super) fn local(model: Classifier) -> (Self, Option<String>) {
        let (gradients, why) = match model.clone().differentiable() {
            Ok(_) => (true, None),
            Err(fault) => (false, Some(format!("{fault}; attacks that need them are left out"))),
        };
        (Self::Local { model: Box::new(model), gradients }, why)
    }

    /// Its trees, where the model is in this process and made of them alone.
    pub(super) fn forest(&self) -> Option<attack::tabular::Forest> {
        match self {
            Self::Local { model, .. } => model.model().forest().ok().flatten(),
            Self::Remote(_) => None,
            Self::Through { beside, .. } => beside.forest(),
        }
    }

    /// Lets the guards of a gateway see clean traffic before anything else; gives its size.
    pub(super) fn warm(&self, seed: u64) -> Result<usize, AppError> {
        match self {
            Self::Through { post, .. } => super::through_clean::warm(post, seed),
            _ => Ok(0),
        }
    }

    /// How the exercise went through a gateway, with clean traffic of the size of its longest kind of run.
    pub(super) fn passage(
        &self,
        rows: &Held,
        pieces: &[Piece],
        remembered: usize,
        seed: u64,
    ) -> Result<Option<Passage>, AppError> {
        let Self::Through { post, .. } = self else { return Ok(None) };
        let mut sizes: BTreeMap<(usize, usize), Vec<u64>> = BTreeMap::new();
        for piece in pieces {
            for run in &piece.sighted.runs {
                sizes.entry((piece.step, run.budget)).or_default().push(run.queries);
            }
        }
        let median = |sizes: &mut Vec<u64>| {
            sizes.sort_unstable();
            sizes.get(sizes.len() / 2).copied().unwrap_or(0)
        };
        let longest = sizes.values_mut().map(median).max().unwrap_or(0);
        let requests = usize::try_from(longest).unwrap_or(usize::MAX);
        Ok(Some(Passage {
            keys: post.through.keys,
            remembered,
            limits: post.through.limits().to_owned(),
            guards: post.through.guarded.words(),
            clean: super::through_clean::traffic(post, rows, requests, seed)?,
        }))
    }

    /// What is shown of it.
    pub(super) fn access(&self, labels_only: bool) -> Access {
        match self {
            _ if labels_only => Access::Labels,
            Self::Local { gradients: true, .. } => Access::Gradients,
            Self::Local { .. } => Access::Scores,
            Self::Remote(model) => model.access(),
            Self::Through { post, .. } => post.reader.access(),
        }
    }

    /// One for a thread.
    pub(super) fn worker(&self) -> Victim {
        match self {
            Self::Local { model, gradients } => {
                let white = gradients.then(|| model.as_ref().clone().differentiable().ok()).flatten();
                white.map_or_else(|| Victim::Grey(model.clone()), |w| Victim::White(Box::new(w)))
            }
            Self::Remote(model) => Victim::Remote(model.clone()),
            Self::Through { post, beside } => {
                let white = if let Victim::White(white) = beside.worker() { Some(white) } else { None };
                Victim::Through { model: Box::new(ThroughModel::new(post)), white }
            }
        }
    }
}

impl Victim {
    /// As an attack takes it.
    pub(super) fn target(&mut self, labels_only: bool) -> Target<'_> {
        let labels_only = labels_only
            || match self {
                Self::Remote(model) => model.access() == Access::Labels,
                Self::Through { model, .. } => model.access() == Access::Labels,
                _ => false,
            };
        match (labels_only, self) {
            (true, Self::White(model)) => Target::Labels(model.as_mut()),
            (true, Self::Grey(model)) => Target::Labels(model.as_mut()),
            (true, Self::Remote(model)) => Target::Labels(model.as_mut()),
            (true, Self::Through { model, .. }) => Target::Labels(model.as_mut()),
            (false, Self::White(model)) => Target::Gradients(model.as_mut()),
            (false, Self::Grey(model)) => Target::Scores(model.as_mut()),
            (false, Self::Remote(model)) => Target::Scores(model.as_mut()),
            (false, Self::Through { model, .. }) => Target::Scores(model.as_mut()),
        }
    }

    /// As an attack with these needs takes it: through a gateway nobody sees gradients, so an attacker who needs them makes rows with the model itself.
    pub(super) fn target_for(&mut self, labels_only: bool, needs: Access) -> Target<'_> {
        match (needs == Access::Gradients && !labels_only, self) {
            (true, Self::Through { white: Some(white), .. }) => Target::Gradients(white.as_mut()),
            (_, other) => other.target(labels_only),
        }
    }

    /// Sends the rows that an attack found beside the gateway through it, each once.
    pub(super) fn send_once(
        &mut self,
        needs: Access,
        found: &mut [(usize, Option<usize>, Vec<f32>)],
    ) -> Result<(), Fault> {
        let Self::Through { model, white: Some(_) } = self else { return Ok(()) };
        if needs != Access::Gradients || found.is_empty() {
            return Ok(());
        }
        let values: Vec<f32> = found.iter().flat_map(|(_, _, row)| row.iter().copied()).collect();
        let samples: Vec<usize> = found.iter().map(|(sample, ..)| *sample).collect();
        let mut seen = Vec::new();
        model.labels(Rows::new(&values, model.space().layout.len(), &samples)?, &mut seen)?;
        found.iter_mut().zip(seen).for_each(|((_, class, _), seen)| *class = seen);
        Ok(())
    }

    /// A piece of work begins: what is asked belongs to it from here on. Gives the book that is to be told of its rounds.
    pub(super) fn begin(&self, at: usize, step: &Step, chunk: &Chunk) -> Option<Arc<Book>> {
        let Self::Through { model, .. } = self else { return None };
        model.book().begin(at, step, chunk);
        Some(Arc::clone(model.book()))
    }

    /// Something begins that asks many questions about each sample: each gets a run.
    pub(super) fn begin_runs(&self) {
        if let Self::Through { model, .. } = self {
            model.book().begin_runs();
        }
    }

    /// What the guards said of rows sent once since the last time, in their order; none without a gateway.
    pub(super) fn once(&self) -> Option<Vec<Single>> {
        if let Self::Through { model, .. } = self { Some(model.book().once()) } else { None }
    }

    /// What the guards saw of the piece.
    pub(super) fn sighted(&self) -> Sighted {
        if let Self::Through { model, .. } = self { model.take() } else { Sighted::default() }
    }

    /// What it takes and gives.
    pub(super) fn space(&self) -> Space {
        match self {
            Self::White(model) => model.space(),
            Self::Grey(model) => model.space(),
            Self::Remote(model) => model.space(),
            Self::Through { model, .. } => model.space(),
        }
    }

    /// Decisions on rows of the unit box, and their scores where those are shown.
    pub(super) fn look(
        &mut self,
        rows: Rows<'_>,
        labels_only: bool,
    ) -> Result<(Vec<Option<usize>>, Vec<f32>), Fault> {
        let scores: &mut dyn Scores = match self.target(labels_only) {
            Target::Labels(model) => {
                let mut seen = Vec::new();
                model.labels(rows, &mut seen)?;
                return Ok((seen, Vec::new()));
            }
            Target::Scores(model) => model,
            Target::Gradients(model) => model,
        };
        let mut replies = Replies::default();
        scores.scores(rows, &mut replies)?;
        Ok(((0..rows.len()).map(|at| replies.label(at)).collect(), replies.scores))
    }
}
