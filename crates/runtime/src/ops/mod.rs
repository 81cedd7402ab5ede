//! Operators: each family of them is one file that compiles a node into a kernel.

pub(crate) mod binary;
pub(crate) mod conv;
mod convert;
pub(crate) mod gemm;
mod index;
pub(crate) mod linear_ml;
mod movement;
pub(crate) mod norm;
pub(crate) mod pool;
pub(crate) mod reduce;
mod select;
mod shape;
mod table_ml;
mod tree;
pub(crate) mod tree_score;
pub(crate) mod unary;

use crate::error::{LoadError, OpError, OpResult};
use crate::graph::{Attribute, Node};
use crate::kernel::Isa;
use crate::limits::Limits;
use crate::tensor::Tensor;
use crate::value::{Ctx, Value};

pub(crate) use binary::broadcast_shape;

/// Activation applied to a kernel's result before it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Activation {
    #[default]
    None,
    Relu,
}

/// A compiled node.
pub(crate) trait Kernel: Send + Sync {
    /// Computes the outputs. Inputs are in channel blocks only if [`Kernel::takes_blocked`].
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>>;

    /// Whether the kernel reads the blocked layout.
    fn takes_blocked(&self) -> bool {
        false
    }

    /// Constant inputs that the kernel has packed and does not read when it runs.
    fn packed_inputs(&self) -> &'static [usize] {
        &[]
    }
}

/// What a family needs to compile a node.
pub(crate) struct NodeCtx<'a> {
    pub(crate) node: &'a Node,
    /// Version of the operator set the node belongs to.
    pub(crate) opset: i64,
    /// Constant inputs, by position.
    pub(crate) constants: &'a [Option<&'a Tensor>],
    pub(crate) isa: Isa,
    pub(crate) activation: Activation,
    pub(crate) limits: &'a Limits,
}

impl<'a> NodeCtx<'a> {
    pub(crate) fn int(&self, name: &str, default: i64) -> OpResult<i64> {
        match self.node.attributes.get(name) {
            None => Ok(default),
            Some(Attribute::Int(value)) => Ok(*value),
            Some(_) => Err(OpError::new(format!("attribute `{name}` is not an integer"))),
        }
    }

    pub(crate) fn float(&self, name: &str, default: f32) -> OpResult<f32> {
        match self.node.attributes.get(name) {
            None => Ok(default),
            Some(Attribute::Float(value)) => Ok(*value),
            Some(_) => Err(OpError::new(format!("attribute `{name}` is not a float"))),
        }
    }

    pub(crate) fn text(&self, name: &str, default: &'a str) -> OpResult<&'a str> {
        match self.node.attributes.get(name) {
            None => Ok(default),
            Some(Attribute::Text(value)) => Ok(value),
            Some(_) => Err(OpError::new(format!("attribute `{name}` is not a string"))),
        }
    }

    pub(crate) fn ints(&self, name: &str) -> OpResult<Option<&'a [i64]>> {
        match self.node.attributes.get(name) {
            None => Ok(None),
            Some(Attribute::Ints(values)) => Ok(Some(values)),
            Some(_) => Err(OpError::new(format!("attribute `{name}` is not a list of integers"))),
        }
    }

    pub(crate) fn floats(&self, name: &str) -> OpResult<Option<&'a [f32]>> {
        match self.node.attributes.get(name) {
            None => Ok(None),
            Some(Attribute::Floats(values)) => Ok(Some(values)),
            Some(_) => Err(OpError::new(format!("attribute `{name}` is not a list of floats"))),
        }
    }

    pub(crate) fn texts(&self, name: &str) -> OpResult<Option<&'a [String]>> {
        match self.node.attributes.get(name) {
            None => Ok(None),
            Some(Attribute::Texts(values)) => Ok(Some(values)),
            Some(_) => Err(OpError::new(format!("attribute `{name}` is not a list of strings"))),
        }
    }

    pub(crate) fn tensor(&self, name: &str) -> OpResult<Option<&'a Tensor>> {
        match self.node.attributes.get(name) {
            None => Ok(None),
            Some(Attribute::Tensor(value)) => Ok(Some(value)),
            Some(_) => Err(OpError::new(format!("attribute `{name}` is not a tensor"))),
        }
    }

    /// The constant at this input, if it is one.
    pub(crate) fn constant(&self, at: usize) -> Option<&'a Tensor> {
        self.constants.get(at).copied().flatten()
    }
}

/// The input at a position, or an error naming the position.
pub(crate) fn need<'v>(inputs: &[Option<&'v Value>], at: usize) -> OpResult<&'v Value> {
    inputs.get(at).copied().flatten().ok_or_else(|| OpError::new(format!("input {at} is missing")))
}

/// The optional input at a position.
pub(crate) fn maybe<'v>(inputs: &[Option<&'v Value>], at: usize) -> Option<&'v Value> {
    inputs.get(at).copied().flatten()
}

/// A list of integers that is an attribute in older opsets and an input in newer ones.
pub(crate) fn ints_of(attribute: Option<&[i64]>, input: Option<&Value>) -> OpResult<Option<Vec<i64>>> {
    match (attribute, input) {
        (Some(values), _) => Ok(Some(values.to_vec())),
        (None, Some(value)) => value.int_values().map(Some),
        (None, None) => Ok(None),
    }
}

/// What a family returns: `None` if the operator is not one of its own.
pub(crate) type Compiled = OpResult<Option<Box<dyn Kernel>>>;

/// Boxes a kernel as a family's answer.
pub(crate) fn done(kernel: impl Kernel + 'static) -> Compiled {
    Ok(Some(Box::new(kernel)))
}

type Family = fn(&NodeCtx<'_>) -> Compiled;

const FAMILIES: &[Family] = &[
    binary::compile,
    conv::compile,
    convert::compile,
    gemm::compile,
    index::compile,
    movement::compile,
    norm::compile,
    pool::compile,
    reduce::compile,
    select::compile,
    shape::compile,
    unary::compile,
];

const ML_FAMILIES: &[Family] = &[linear_ml::compile, table_ml::compile, tree::compile];

/// Compiles a node, or says why it cannot be run.
pub(crate) fn compile(ctx: &NodeCtx<'_>) -> Result<Box<dyn Kernel>, LoadError> {
    let families = if ctx.node.is_ml { ML_FAMILIES } else { FAMILIES };
    for family in families {
        match family(ctx) {
            Ok(None) => {}
            Ok(Some(kernel)) => return Ok(kernel),
            Err(error) => {
                return Err(LoadError::Node {
                    operator: ctx.node.operator.clone(),
                    node: ctx.node.name.clone(),
                    what: error.0,
                });
            }
        }
    }
    Err(LoadError::UnsupportedOperator {
        operator: ctx.node.operator.clone(),
        node: ctx.node.name.clone(),
        opset: ctx.opset,
    })
}
