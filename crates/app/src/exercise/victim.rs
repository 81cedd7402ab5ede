//! The model under attack, at the access that the exercise has: a file in this process, or a server that shows its outputs only.

use attack::evasion::{Access, Target};
use attack::{Fault, Labels, Replies, Rows, Scores, Space};
use runtime::{Classifier, Differentiable};

use super::remote::RemoteModel;

/// A model, from which each thread makes its own.
pub(super) enum Source {
    /// In this process; whether it can be walked backwards.
    Local { model: Box<Classifier>, gradients: bool },
    /// Somebody else's server.
    Remote(Box<RemoteModel>),
}

/// A model of one thread.
pub(super) enum Victim {
    /// In this process, with gradients.
    White(Box<Differentiable>),
    /// In this process, without.
    Grey(Box<Classifier>),
    /// Somebody else's server.
    Remote(Box<RemoteModel>),
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
        }
    }

    /// What is shown of it.
    pub(super) fn access(&self, labels_only: bool) -> Access {
        match self {
            _ if labels_only => Access::Labels,
            Self::Local { gradients: true, .. } => Access::Gradients,
            Self::Local { .. } => Access::Scores,
            Self::Remote(model) => model.access(),
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
        }
    }
}

impl Victim {
    /// As an attack takes it.
    pub(super) fn target(&mut self, labels_only: bool) -> Target<'_> {
        let labels_only = labels_only || matches!(self, Self::Remote(m) if m.access() == Access::Labels);
        match (labels_only, self) {
            (true, Self::White(model)) => Target::Labels(model.as_mut()),
            (true, Self::Grey(model)) => Target::Labels(model.as_mut()),
            (true, Self::Remote(model)) => Target::Labels(model.as_mut()),
            (false, Self::White(model)) => Target::Gradients(model.as_mut()),
            (false, Self::Grey(model)) => Target::Scores(model.as_mut()),
            (false, Self::Remote(model)) => Target::Scores(model.as_mut()),
        }
    }

    /// What it takes and gives.
    pub(super) fn space(&self) -> Space {
        match self {
            Self::White(model) => model.space(),
            Self::Grey(model) => model.space(),
            Self::Remote(model) => model.space(),
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
