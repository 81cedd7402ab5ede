//! The execution plan: compiled steps in order, with the moment each value is no longer needed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::error::{LoadError, OpError, RunError};
use crate::graph::{Graph, ValueId};
use crate::kernel::Isa;
use crate::limits::Limits;
use crate::ops::{self, Kernel, NodeCtx};
use crate::rewrite::{Draft, rewrite};
use crate::tensor::{Tensor, TensorData, TensorView, ViewData, each_type};
use crate::value::{Ctx, FREE_MAX, Scratch, Value};

/// Inputs of one step that fit on the stack; steps with more use the heap.
const STACK_INPUTS: usize = 8;

/// Where a step reads an input.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source {
    /// Left out, or a constant that the kernel has packed.
    Missing,
    /// A constant of the plan.
    Constant(usize),
    /// A value of the run.
    Slot(usize),
}

/// One compiled node.
pub(crate) struct Step {
    pub(crate) kernel: Box<dyn Kernel>,
    pub(crate) operator: String,
    pub(crate) node: String,
    pub(crate) inputs: Vec<Source>,
    pub(crate) outputs: Vec<Option<usize>>,
    /// Slots whose value is not read after this step.
    last_use: Vec<usize>,
}

/// A compiled graph. Running it does not change it.
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    pub(crate) constants: Vec<Value>,
    slots: usize,
    pub(crate) inputs: Vec<usize>,
    pub(crate) outputs: Vec<Source>,
}

/// How a plan is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// For answers only: everything is fused, and values go when they have been read for the last time.
    Answers,
    /// For derivatives by the input: as above, and every value stays until the next run.
    Taped,
    /// For derivatives by the weights: as above, and normalisations stay operators of their own.
    Trained,
}

/// Told of each step while a plan is compiled.
pub(crate) type Watch<'a> = dyn FnMut(&NodeCtx<'_>, &Step) -> Result<(), LoadError> + 'a;

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan").field("steps", &self.steps.len()).finish_non_exhaustive()
    }
}

/// Budgets of one run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    pub(crate) elements: usize,
    pub(crate) bytes: usize,
    pub(crate) work: u64,
}

impl Budget {
    pub(crate) fn of_run(limits: &Limits) -> Self {
        Self {
            elements: limits.tensor_elements_max,
            bytes: limits.activation_bytes_max,
            work: limits.work_max,
        }
    }

    pub(crate) fn of_load(limits: &Limits) -> Self {
        Self { work: limits.load_work_max, ..Self::of_run(limits) }
    }
}

/// Maps values to slots and constants while compiling.
struct Builder<'a> {
    limits: &'a Limits,
    isa: Isa,
    constants: BTreeMap<ValueId, Arc<Tensor>>,
    kept: Vec<Value>,
    kept_at: HashMap<ValueId, usize>,
    slot_at: HashMap<ValueId, usize>,
    work_left: u64,
}

impl Plan {
    /// Compiles the graph so that it yields `wanted`, in that order.
    pub(crate) fn compile(
        graph: &Graph,
        wanted: &[ValueId],
        limits: &Limits,
        isa: Isa,
    ) -> Result<Self, LoadError> {
        Self::compile_as(graph, wanted, limits, isa, Style::Answers, &mut |_, _| Ok(()))
    }

    /// Compiles the graph in another style; `watch` is told of each step.
    pub(crate) fn compile_as(
        graph: &Graph,
        wanted: &[ValueId],
        limits: &Limits,
        isa: Isa,
        style: Style,
        watch: &mut Watch<'_>,
    ) -> Result<Self, LoadError> {
        let drafts = rewrite(graph, wanted, style != Style::Trained);
        let mut builder = Builder {
            limits,
            isa,
            constants: BTreeMap::new(),
            kept: Vec::new(),
            kept_at: HashMap::new(),
            slot_at: HashMap::new(),
            work_left: limits.load_work_max,
        };
        builder.constants = drafts.constants;
        let inputs = graph.inputs.iter().map(|(id, _)| builder.slot(*id)).collect();
        let mut steps = Vec::new();
        for draft in &drafts.nodes {
            let opset = if draft.node.is_ml { graph.opset_ml } else { graph.opset };
            if let Some(step) = builder.step(draft, opset, watch)? {
                steps.push(step);
            }
        }
        let outputs: Vec<Source> = wanted.iter().map(|id| builder.source(*id)).collect();
        let mut plan = Self { steps, constants: builder.kept, slots: builder.slot_at.len(), inputs, outputs };
        if style == Style::Answers {
            plan.mark_last_uses();
        }
        Ok(plan)
    }

    fn mark_last_uses(&mut self) {
        let mut seen = vec![false; self.slots];
        for output in &self.outputs {
            if let Source::Slot(slot) = output
                && let Some(flag) = seen.get_mut(*slot)
            {
                *flag = true;
            }
        }
        for step in self.steps.iter_mut().rev() {
            let read =
                step.inputs.iter().filter_map(|s| if let Source::Slot(at) = s { Some(*at) } else { None });
            for slot in read.chain(step.outputs.iter().flatten().copied()).collect::<Vec<_>>() {
                if let Some(flag) = seen.get_mut(slot)
                    && !*flag
                {
                    *flag = true;
                    step.last_use.push(slot);
                }
            }
        }
    }

    /// Runs the plan. `inputs` are in the graph's order and already checked against it.
    pub(crate) fn run(
        &self,
        inputs: &[TensorView<'_>],
        scratch: &mut Scratch,
        budget: Budget,
    ) -> Result<Vec<Tensor>, RunError> {
        let Scratch { slots, free } = scratch;
        let mut ctx = Ctx {
            free,
            free_max: FREE_MAX,
            elements_max: budget.elements,
            bytes_left: budget.bytes,
            work_left: budget.work,
        };
        self.fill(inputs, slots, &mut ctx)?;
        let mut out = Vec::with_capacity(self.outputs.len());
        for source in &self.outputs {
            let value = match *source {
                Source::Constant(at) => self.constants.get(at).cloned(),
                Source::Slot(at) => slots.get_mut(at).and_then(Option::take),
                Source::Missing => None,
            };
            let Some(value) = value else {
                return Err(RunError::Node {
                    operator: "output".to_owned(),
                    node: String::new(),
                    what: "value was not computed".to_owned(),
                });
            };
            out.push(crate::kernel::layout::plain(value, &mut ctx).into_tensor());
        }
        Ok(out)
    }
}

impl Plan {
    /// Runs every step, so that `slots` hold the values that are still needed.
    pub(crate) fn fill(
        &self,
        inputs: &[TensorView<'_>],
        slots: &mut Vec<Option<Value>>,
        ctx: &mut Ctx<'_>,
    ) -> Result<(), RunError> {
        for value in slots.iter_mut().filter_map(Option::take) {
            ctx.give_value(value);
        }
        slots.resize_with(self.slots, || None);
        for (&slot, view) in self.inputs.iter().zip(inputs) {
            let value = copy_in(ctx, view);
            store(ctx, slots, slot, value);
        }
        for step in &self.steps {
            step.run(ctx, slots, &self.constants).map_err(|error| step.failed(error))?;
        }
        Ok(())
    }
}

fn copy_in(ctx: &mut Ctx<'_>, view: &TensorView<'_>) -> Value {
    let data = match view.data {
        ViewData::F32(v) => {
            let mut buffer = ctx.take(v.len());
            buffer.copy_from_slice(v);
            TensorData::F32(buffer)
        }
        ViewData::F64(v) => TensorData::F64(v.to_vec()),
        ViewData::I64(v) => TensorData::I64(v.to_vec()),
        ViewData::I32(v) => TensorData::I32(v.to_vec()),
        ViewData::I8(v) => TensorData::I8(v.to_vec()),
        ViewData::U8(v) => TensorData::U8(v.to_vec()),
        ViewData::Bool(v) => TensorData::Bool(v.to_vec()),
        ViewData::Text(v) => TensorData::Text(v.to_vec()),
    };
    Value::plain(view.shape.to_vec(), data)
}

fn bytes_of(value: &Value) -> usize {
    each_type!(&value.data, TensorData, v => size_of_val(v.as_slice()))
}

fn store(ctx: &mut Ctx<'_>, slots: &mut [Option<Value>], slot: usize, value: Value) {
    ctx.bytes_left = ctx.bytes_left.saturating_sub(bytes_of(&value));
    if let Some(place) = slots.get_mut(slot) {
        *place = Some(value);
    }
}

impl Step {
    /// The error of a run, with where it happened.
    pub(crate) fn failed(&self, error: OpError) -> RunError {
        RunError::Node { operator: self.operator.clone(), node: self.node.clone(), what: error.0 }
    }

    fn run(
        &self,
        ctx: &mut Ctx<'_>,
        slots: &mut [Option<Value>],
        constants: &[Value],
    ) -> Result<(), OpError> {
        if !self.kernel.takes_blocked() {
            for source in &self.inputs {
                if let Source::Slot(at) = source
                    && let Some(place) = slots.get_mut(*at)
                    && place.as_ref().is_some_and(|value| value.block > 0)
                {
                    *place = place.take().map(|value| crate::kernel::layout::plain(value, ctx));
                }
            }
        }
        let read = |source: &Source| match *source {
            Source::Missing => None,
            Source::Constant(at) => constants.get(at),
            Source::Slot(at) => slots.get(at).and_then(Option::as_ref),
        };
        let outputs = if self.inputs.len() <= STACK_INPUTS {
            let mut inputs = [None; STACK_INPUTS];
            for (place, source) in inputs.iter_mut().zip(&self.inputs) {
                *place = read(source);
            }
            self.kernel.run(ctx, inputs.get(..self.inputs.len()).unwrap_or_default())?
        } else {
            let inputs: Vec<Option<&Value>> = self.inputs.iter().map(read).collect();
            self.kernel.run(ctx, &inputs)?
        };
        for (slot, value) in self.outputs.iter().zip(outputs) {
            if let Some(slot) = slot {
                store(ctx, slots, *slot, value);
            }
        }
        for &slot in &self.last_use {
            if let Some(value) = slots.get_mut(slot).and_then(Option::take) {
                ctx.bytes_left = ctx.bytes_left.saturating_add(bytes_of(&value));
                ctx.give_value(value);
            }
        }
        Ok(())
    }
}

impl Builder<'_> {
    fn slot(&mut self, id: ValueId) -> usize {
        let next = self.slot_at.len();
        *self.slot_at.entry(id).or_insert(next)
    }

    /// Where a value is read from when the plan runs; constants are kept only if asked for here.
    fn source(&mut self, id: ValueId) -> Source {
        if let Some(&at) = self.kept_at.get(&id) {
            return Source::Constant(at);
        }
        if let Some(tensor) = self.constants.get(&id) {
            self.kept.push(Value::from(tensor.as_ref().clone()));
            let at = self.kept.len() - 1;
            self.kept_at.insert(id, at);
            return Source::Constant(at);
        }
        match self.slot_at.get(&id) {
            Some(&slot) => Source::Slot(slot),
            None => Source::Missing,
        }
    }

    fn step(&mut self, draft: &Draft, opset: i64, watch: &mut Watch<'_>) -> Result<Option<Step>, LoadError> {
        let node = &draft.node;
        let held: Vec<Option<Arc<Tensor>>> =
            node.inputs.iter().map(|id| id.and_then(|id| self.constants.get(&id).cloned())).collect();
        let constants: Vec<Option<&Tensor>> = held.iter().map(Option::as_deref).collect();
        let ctx = NodeCtx {
            node,
            opset,
            constants: &constants,
            isa: self.isa,
            activation: draft.activation,
            limits: self.limits,
        };
        let kernel = ops::compile(&ctx)?;
        let all_constant = node.inputs.iter().flatten().all(|id| self.constants.contains_key(id));
        if all_constant {
            self.fold(draft, kernel.as_ref(), &held)?;
            return Ok(None);
        }
        let unused = kernel.packed_inputs();
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for (at, id) in node.inputs.iter().enumerate() {
            inputs.push(match id {
                Some(id) if !(unused.contains(&at) && self.constants.contains_key(id)) => self.source(*id),
                _ => Source::Missing,
            });
        }
        let outputs = node.outputs.iter().map(|id| id.map(|id| self.slot(id))).collect();
        let step = Step {
            kernel,
            operator: node.operator.clone(),
            node: node.name.clone(),
            inputs,
            outputs,
            last_use: Vec::new(),
        };
        watch(&ctx, &step)?;
        Ok(Some(step))
    }

    /// Computes a node whose inputs are all constant.
    fn fold(
        &mut self,
        draft: &Draft,
        kernel: &dyn Kernel,
        held: &[Option<Arc<Tensor>>],
    ) -> Result<(), LoadError> {
        let node = &draft.node;
        let inputs: Vec<Option<Value>> =
            held.iter().map(|tensor| tensor.as_ref().map(|t| Value::from(t.as_ref().clone()))).collect();
        let views: Vec<Option<&Value>> = inputs.iter().map(Option::as_ref).collect();
        let mut free = Vec::new();
        let mut ctx = Ctx {
            free: &mut free,
            free_max: FREE_MAX,
            elements_max: self.limits.tensor_elements_max,
            bytes_left: self.limits.activation_bytes_max,
            work_left: self.work_left,
        };
        let outputs = kernel.run(&mut ctx, &views).map_err(|error| LoadError::Node {
            operator: node.operator.clone(),
            node: node.name.clone(),
            what: error.0,
        })?;
        // A step at least, so that a long chain of tiny nodes also ends.
        self.work_left = ctx.work_left.saturating_sub(1);
        for (id, value) in node.outputs.iter().zip(outputs) {
            if let Some(id) = id {
                let value = crate::kernel::layout::plain(value, &mut ctx);
                self.constants.insert(*id, Arc::new(value.into_tensor()));
            }
        }
        Ok(())
    }
}
