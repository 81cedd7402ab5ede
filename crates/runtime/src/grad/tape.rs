//! A plan that remembers: it runs forward keeping every value, then backward through the same steps in reverse.

use std::collections::{BTreeMap, BTreeSet};

use super::adjoint::{self, Adjoint, Rule};
use crate::error::{LoadError, OpError, OpResult, RunError, op_bail};
use crate::graph::{Graph, Node, ValueId};
use crate::kernel::{Isa, layout};
use crate::limits::Limits;
use crate::ops::{self, Activation, NodeCtx};
use crate::plan::{Budget, Plan, Source, Step, Style};
use crate::tensor::{Tensor, TensorData, TensorView};
use crate::value::{Ctx, Value};

/// Buffers a tape keeps: a deep network holds a few hundred values at a time.
const KEPT_MAX: usize = 1_024;

/// Where the gradient of a step's input goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// Nowhere: a constant, or a value without a derivative.
    Nowhere,
    /// To a value of the run. `input_only` if only the model's input, and no weight, lies behind it.
    Slot {
        /// Which.
        slot: usize,
        /// See above.
        input_only: bool,
    },
    /// To a trained weight.
    Weight(usize),
}

/// What goes backward through one step.
struct Link {
    adjoint: Option<Box<dyn Adjoint>>,
    targets: Vec<Target>,
    /// For a step that reads a trained weight: how it is compiled again.
    recipe: Option<Recipe>,
}

/// A node and its constants.
struct Recipe {
    node: Node,
    opset: i64,
    activation: Activation,
    constants: Vec<Held>,
}

enum Held {
    Computed,
    Constant(Tensor),
    Weight(usize),
}

impl Recipe {
    fn of(ctx: &NodeCtx<'_>, targets: &[Target]) -> Option<Self> {
        targets.iter().any(|t| matches!(t, Target::Weight(_))).then(|| {
            let held = |(at, constant): (usize, &Option<&Tensor>)| match (targets.get(at), constant) {
                (Some(Target::Weight(number)), _) => Held::Weight(*number),
                (_, Some(tensor)) => Held::Constant((*tensor).clone()),
                (_, None) => Held::Computed,
            };
            Self {
                node: ctx.node.clone(),
                opset: ctx.opset,
                activation: ctx.activation,
                constants: ctx.constants.iter().enumerate().map(held).collect(),
            }
        })
    }
}

/// Whose gradients a backward pass is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The model's input.
    Input,
    /// The trained weights.
    Weights,
}

/// A plan with the way back.
pub(crate) struct Tape {
    plan: Plan,
    links: Vec<Link>,
    /// Slot of the model's input.
    input: usize,
    /// Slot of the output that is differentiated.
    output: usize,
    grads: Vec<Option<Value>>,
    /// Gradients of the trained weights, by their number.
    pub(crate) weights: Vec<Option<Value>>,
    free: Vec<Vec<f32>>,
    limits: Limits,
    isa: Isa,
}

/// The values of one forward pass.
pub(crate) type Slots = Vec<Option<Value>>;

/// Slots with a derivative, by what lies behind them.
#[derive(Default)]
struct Active {
    by_input: BTreeSet<usize>,
    by_weight: BTreeSet<usize>,
}

impl Active {
    fn targets(&self, ctx: &NodeCtx<'_>, step: &Step, trained: &BTreeMap<ValueId, usize>) -> Vec<Target> {
        let of = |(at, source): (usize, &Source)| {
            let id = ctx.node.inputs.get(at).copied().flatten();
            if let Some(number) = id.and_then(|id| trained.get(&id)) {
                return Target::Weight(*number);
            }
            match *source {
                Source::Slot(slot) if self.by_weight.contains(&slot) => {
                    Target::Slot { slot, input_only: false }
                }
                Source::Slot(slot) if self.by_input.contains(&slot) => {
                    Target::Slot { slot, input_only: true }
                }
                _ => Target::Nowhere,
            }
        };
        step.inputs.iter().enumerate().map(of).collect()
    }

    fn mark(&mut self, step: &Step, targets: &[Target]) {
        let weighted =
            targets.iter().any(|t| matches!(t, Target::Weight(_) | Target::Slot { input_only: false, .. }));
        let set = if weighted { &mut self.by_weight } else { &mut self.by_input };
        set.extend(step.outputs.iter().flatten());
    }
}

impl Tape {
    /// Compiles the way to `output` and back. `trained` numbers the initializers whose gradients are wanted.
    pub(crate) fn compile(
        graph: &Graph,
        output: ValueId,
        limits: &Limits,
        isa: Isa,
        trained: &BTreeMap<ValueId, usize>,
    ) -> Result<Self, LoadError> {
        let style = if trained.is_empty() { Style::Taped } else { Style::Trained };
        let mut links = Vec::new();
        let mut active = Active::default();
        // The one input is the first slot that a plan gives out.
        active.by_input.insert(0);
        let plan = Plan::compile_as(graph, &[output], limits, isa, style, &mut |ctx, step| {
            let targets = active.targets(ctx, step, trained);
            let mut link = Link { adjoint: None, recipe: Recipe::of(ctx, &targets), targets };
            if link.targets.iter().any(|t| *t != Target::Nowhere)
                && let Rule::Adjoint(adjoint) = adjoint::compile(ctx)?
            {
                active.mark(step, &link.targets);
                link.adjoint = Some(adjoint);
            }
            links.push(link);
            Ok(())
        })?;
        let output_at = match plan.outputs.first() {
            Some(Source::Slot(slot)) if active.by_input.contains(slot) || active.by_weight.contains(slot) => {
                *slot
            }
            _ => {
                return Err(LoadError::NotDifferentiable {
                    operator: "output".to_owned(),
                    node: graph.name(output).to_owned(),
                    what: "it does not depend on the input, or only through steps; choose the scores"
                        .to_owned(),
                });
            }
        };
        Ok(Self {
            input: plan.inputs.first().copied().unwrap_or(0),
            output: output_at,
            plan,
            links,
            grads: Vec::new(),
            weights: trained.iter().map(|_| None).collect(),
            free: Vec::new(),
            limits: limits.clone(),
            isa,
        })
    }

    /// Runs forward; the values stay in `slots`, from where [`Tape::output`] reads.
    pub(crate) fn forward(
        &mut self,
        input: TensorView<'_>,
        slots: &mut Slots,
        budget: Budget,
    ) -> Result<(), RunError> {
        let mut ctx = context(&mut self.free, budget);
        self.plan.fill(&[input], slots, &mut ctx)?;
        if let Some(place) = slots.get_mut(self.output) {
            *place = place.take().map(|value| layout::plain(value, &mut ctx));
        }
        Ok(())
    }

    /// The output that is differentiated, in the plain layout.
    pub(crate) fn output<'s>(&self, slots: &'s Slots) -> OpResult<&'s Value> {
        match slots.get(self.output).and_then(Option::as_ref) {
            Some(value) => Ok(value),
            None => op_bail!("value was not computed"),
        }
    }

    /// Goes backward from the gradient of the output, which has its shape. Afterwards [`Tape::input_gradient`] or
    /// `weights` hold the gradients wanted.
    pub(crate) fn backward(
        &mut self,
        slots: &Slots,
        cotangent: &[f32],
        wanted: Wanted,
    ) -> Result<(), RunError> {
        let Self { plan, links, grads, weights, free, limits, output, .. } = self;
        let mut ctx = context(free, Budget::of_run(limits));
        for value in grads.iter_mut().chain(weights.iter_mut()).filter_map(Option::take) {
            ctx.give_value(value);
        }
        grads.resize_with(slots.len(), || None);
        let shape = slots.get(*output).and_then(Option::as_ref).map(|v| v.shape.clone()).unwrap_or_default();
        let mut seed = ctx.take(cotangent.len());
        seed.copy_from_slice(cotangent);
        if let Some(place) = grads.get_mut(*output) {
            *place = Some(Value::f32s(shape, seed));
        }
        for (step, link) in plan.steps.iter().zip(links).rev() {
            let Some(adjoint) = &mut link.adjoint else { continue };
            let held = |slot: &Option<usize>| slot.is_some_and(|s| grads.get(s).is_some_and(Option::is_some));
            if !step.outputs.iter().any(held) {
                continue;
            }
            let mut flow = Flow {
                ctx: &mut ctx,
                step,
                constants: &plan.constants,
                slots,
                targets: &link.targets,
                grads,
                weights,
                wanted,
            };
            if flow.wants_any() {
                adjoint.back(&mut flow).map_err(|error| step.failed(error))?;
            }
            flow.drop_rest();
        }
        Ok(())
    }

    /// The gradient of the model's input, in the plain layout; `None` if nothing flowed back to it.
    pub(crate) fn input_gradient(&mut self) -> Option<&[f32]> {
        let place = self.grads.get_mut(self.input)?;
        let mut ctx = context(&mut self.free, Budget::of_run(&self.limits));
        *place = place.take().map(|value| layout::plain(value, &mut ctx));
        place.as_ref().and_then(|value| value.f32_values().ok())
    }

    /// Takes new values of the trained weights: compiles every step that reads one again.
    pub(crate) fn refresh(&mut self, weights: &[Tensor]) -> Result<(), LoadError> {
        let Self { plan, links, limits, isa, .. } = self;
        let Plan { steps, constants: kept, .. } = plan;
        for (step, link) in steps.iter_mut().zip(links) {
            let Some(recipe) = &link.recipe else { continue };
            let of = |held| match held {
                &Held::Computed => None,
                Held::Constant(tensor) => Some(tensor),
                Held::Weight(number) => weights.get(*number),
            };
            let constants: Vec<Option<&Tensor>> = recipe.constants.iter().map(of).collect();
            let ctx = NodeCtx {
                node: &recipe.node,
                opset: recipe.opset,
                constants: &constants,
                isa: *isa,
                activation: recipe.activation,
                limits,
            };
            step.kernel = ops::compile(&ctx)?;
            if let Rule::Adjoint(adjoint) = adjoint::compile(&ctx)? {
                link.adjoint = Some(adjoint);
            }
            for (source, target) in step.inputs.iter().zip(&link.targets) {
                if let (Source::Constant(at), Target::Weight(number)) = (source, target)
                    && let (Some(place), Some(new)) = (kept.get_mut(*at), weights.get(*number))
                {
                    place.data.clone_from(&new.data);
                }
            }
        }
        Ok(())
    }
}

fn context(free: &mut Vec<Vec<f32>>, budget: Budget) -> Ctx<'_> {
    Ctx {
        free,
        free_max: KEPT_MAX,
        elements_max: budget.elements,
        bytes_left: budget.bytes,
        work_left: budget.work,
    }
}

/// What an adjoint sees: the values of the forward pass, the gradients of its outputs, and where those of its inputs go.
pub(crate) struct Flow<'a, 'b> {
    pub(crate) ctx: &'a mut Ctx<'b>,
    step: &'a Step,
    constants: &'a [Value],
    slots: &'a Slots,
    targets: &'a [Target],
    grads: &'a mut Vec<Option<Value>>,
    weights: &'a mut Vec<Option<Value>>,
    wanted: Wanted,
}

impl<'a> Flow<'a, '_> {
    /// The input at a position, in the layout in which the forward pass left it.
    pub(crate) fn x(&self, at: usize) -> OpResult<&'a Value> {
        match self.maybe_x(at) {
            Some(value) => Ok(value),
            None => op_bail!("input {at} is missing"),
        }
    }

    /// The optional input at a position.
    pub(crate) fn maybe_x(&self, at: usize) -> Option<&'a Value> {
        match *self.step.inputs.get(at)? {
            Source::Missing => None,
            Source::Constant(at) => self.constants.get(at),
            Source::Slot(at) => self.slots.get(at)?.as_ref(),
        }
    }

    /// Every input.
    pub(crate) fn inputs(&self) -> Vec<Option<&'a Value>> {
        (0..self.step.inputs.len()).map(|at| self.maybe_x(at)).collect()
    }

    /// The output at a position.
    pub(crate) fn y(&self, at: usize) -> OpResult<&'a Value> {
        let slot = self.step.outputs.get(at).copied().flatten();
        match slot.and_then(|slot| self.slots.get(slot)?.as_ref()) {
            Some(value) => Ok(value),
            None => op_bail!("output {at} was not kept"),
        }
    }

    /// Takes the gradient of an output; `None` if nothing flowed back to it.
    pub(crate) fn dy(&mut self, at: usize) -> Option<Value> {
        let slot = self.step.outputs.get(at).copied().flatten()?;
        self.grads.get_mut(slot)?.take()
    }

    /// Number of outputs.
    pub(crate) fn outputs(&self) -> usize {
        self.step.outputs.len()
    }

    /// Whether the gradient of an input is of use.
    pub(crate) fn wants(&self, at: usize) -> bool {
        match self.targets.get(at) {
            Some(Target::Slot { input_only, .. }) => self.wanted == Wanted::Input || !input_only,
            Some(Target::Weight(_)) => self.wanted == Wanted::Weights,
            _ => false,
        }
    }

    fn wants_any(&self) -> bool {
        (0..self.targets.len()).any(|at| self.wants(at))
    }

    /// Adds to the gradient of an input; it has the input's number of elements (its shape, but for trained weights
    /// that a kernel sees in another form).
    pub(crate) fn give(&mut self, at: usize, value: Value) -> OpResult<()> {
        let place = match self.targets.get(at) {
            _ if !self.wants(at) => None,
            Some(Target::Slot { slot, .. }) => self.grads.get_mut(*slot),
            Some(Target::Weight(number)) => self.weights.get_mut(*number),
            _ => None,
        };
        let Some(place) = place else {
            self.ctx.give_value(value);
            return Ok(());
        };
        *place = Some(match place.take() {
            None => value,
            Some(held) => add(self.ctx, held, value)?,
        });
        Ok(())
    }

    /// Lets go of gradients that the adjoint left.
    fn drop_rest(&mut self) {
        for at in 0..self.step.outputs.len() {
            if let Some(value) = self.dy(at) {
                self.ctx.give_value(value);
            }
        }
    }

    /// A gradient in the layout of a saved value of the same shape.
    pub(crate) fn like(&mut self, value: Value, model: &Value) -> Value {
        match model.block {
            0 => layout::plain(value, self.ctx),
            block => layout::blocked(value, block, self.ctx),
        }
    }

    /// A gradient in the plain layout.
    pub(crate) fn plain(&mut self, value: Value) -> Value {
        layout::plain(value, self.ctx)
    }

    /// A saved value in the plain layout.
    pub(crate) fn plain_saved<'v>(&mut self, value: &'v Value) -> std::borrow::Cow<'v, Value>
    where
        'a: 'v,
    {
        match value.block {
            0 => std::borrow::Cow::Borrowed(value),
            _ => std::borrow::Cow::Owned(layout::plain(value.clone(), self.ctx)),
        }
    }
}

/// The sum of two gradients of one value.
fn add(ctx: &mut Ctx<'_>, held: Value, more: Value) -> OpResult<Value> {
    let (mut held, more) = if held.block == more.block {
        (held, more)
    } else {
        (layout::plain(held, ctx), layout::plain(more, ctx))
    };
    match (&mut held.data, &more.data) {
        (TensorData::F32(a), TensorData::F32(b)) if a.len() == b.len() => {
            a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
        }
        _ => op_bail!("gradients of shapes {:?} and {:?} meet", held.shape, more.shape),
    }
    ctx.give_value(more);
    Ok(held)
}

/// The float32 values of a gradient, to be changed in place.
pub(crate) fn values_mut(value: &mut Value) -> OpResult<&mut Vec<f32>> {
    match &mut value.data {
        TensorData::F32(values) => Ok(values),
        other => Err(OpError::new(format!("has a gradient of {}", other.data_type()))),
    }
}
