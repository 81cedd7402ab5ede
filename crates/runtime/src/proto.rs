//! The part of `onnx.proto3` (onnx 1.23, IR versions 3 to 13) that a model needs, read from the wire within limits.

use std::collections::BTreeMap;

use crate::error::LoadError;
use crate::graph::Attribute;
use crate::limits::Limits;
use crate::tensor::{DataType, Dim, Tensor, TensorData, ValueInfo, elements, extent};
use crate::wire::Wire;

#[derive(Debug, Default)]
pub(crate) struct RawModel {
    pub(crate) ir_version: i64,
    pub(crate) producer: String,
    pub(crate) producer_version: String,
    pub(crate) domain: String,
    pub(crate) model_version: i64,
    pub(crate) doc: String,
    pub(crate) opsets: Vec<(String, i64)>,
    pub(crate) metadata: Vec<(String, String)>,
    pub(crate) graph: Option<RawGraph>,
}

#[derive(Debug, Default)]
pub(crate) struct RawGraph {
    pub(crate) name: String,
    pub(crate) nodes: Vec<RawNode>,
    pub(crate) initializers: Vec<(String, Tensor)>,
    pub(crate) inputs: Vec<ValueInfo>,
    pub(crate) outputs: Vec<ValueInfo>,
}

#[derive(Debug, Default)]
pub(crate) struct RawNode {
    pub(crate) name: String,
    pub(crate) operator: String,
    pub(crate) is_ml: bool,
    pub(crate) inputs: Vec<String>,
    pub(crate) outputs: Vec<String>,
    pub(crate) attributes: BTreeMap<String, Attribute>,
}

/// Pushes within a limit.
fn push<T>(list: &mut Vec<T>, item: T, max: usize, what: &'static str) -> Result<(), LoadError> {
    if list.len() >= max {
        return Err(LoadError::Limit { what, got: list.len() as u64 + 1, max: max as u64 });
    }
    list.push(item);
    Ok(())
}

/// Text for people only (documentation, metadata): cut at the limit rather than refused.
fn note(bytes: &[u8], max: usize) -> String {
    String::from_utf8_lossy(bytes.get(..bytes.len().min(max)).unwrap_or_default()).into_owned()
}

pub(crate) fn model(bytes: &[u8], limits: &Limits) -> Result<RawModel, LoadError> {
    let name_max = limits.name_bytes_max;
    let mut out = RawModel::default();
    let mut wire = Wire::new(bytes);
    while let Some((number, field)) = wire.next()? {
        match number {
            1 => out.ir_version = field.int()?,
            2 => out.producer = field.text(name_max)?.to_owned(),
            3 => out.producer_version = field.text(name_max)?.to_owned(),
            4 => out.domain = field.text(name_max)?.to_owned(),
            5 => out.model_version = field.int()?,
            6 => out.doc = note(field.bytes()?, name_max),
            7 => {
                if out.graph.is_some() {
                    return Err(LoadError::Malformed { what: "two graphs", at: 0 });
                }
                out.graph = Some(graph(field.bytes()?, limits)?);
            }
            8 => push(&mut out.opsets, opset(field.bytes()?, name_max)?, 64, "operator set imports")?,
            14 => push(&mut out.metadata, entry(field.bytes()?, name_max)?, 256, "metadata entries")?,
            20 => return Err(unsupported("training information")),
            25 => return Err(unsupported("model-local functions")),
            _ => {}
        }
    }
    Ok(out)
}

fn unsupported(what: impl Into<String>) -> LoadError {
    LoadError::Unsupported { what: what.into() }
}

fn opset(bytes: &[u8], name_max: usize) -> Result<(String, i64), LoadError> {
    let mut out = (String::new(), 0);
    let mut wire = Wire::new(bytes);
    while let Some((number, field)) = wire.next()? {
        match number {
            1 => field.text(name_max)?.clone_into(&mut out.0),
            2 => out.1 = field.int()?,
            _ => {}
        }
    }
    Ok(out)
}

fn entry(bytes: &[u8], max: usize) -> Result<(String, String), LoadError> {
    let mut out = (String::new(), String::new());
    let mut wire = Wire::new(bytes);
    while let Some((number, field)) = wire.next()? {
        match number {
            1 => out.0 = note(field.bytes()?, max),
            2 => out.1 = note(field.bytes()?, max),
            _ => {}
        }
    }
    Ok(out)
}

fn graph(bytes: &[u8], limits: &Limits) -> Result<RawGraph, LoadError> {
    let mut out = RawGraph::default();
    let mut wire = Wire::new(bytes);
    while let Some((number, field)) = wire.next()? {
        match number {
            1 => push(&mut out.nodes, node(field.bytes()?, limits)?, limits.nodes_max, "nodes")?,
            2 => out.name = field.text(limits.name_bytes_max)?.to_owned(),
            5 => {
                let item = tensor(field.bytes()?, limits)?;
                push(&mut out.initializers, item, limits.initializers_max, "initializers")?;
            }
            11 => {
                push(&mut out.inputs, value_info(field.bytes()?, limits)?, limits.values_max, "graph inputs")?
            }
            12 => push(
                &mut out.outputs,
                value_info(field.bytes()?, limits)?,
                limits.values_max,
                "graph outputs",
            )?,
            15 => return Err(unsupported("sparse initializers")),
            _ => {}
        }
    }
    Ok(out)
}

fn node(bytes: &[u8], limits: &Limits) -> Result<RawNode, LoadError> {
    let name_max = limits.name_bytes_max;
    let mut out = RawNode::default();
    let mut domain = "";
    let mut attributes = Vec::new();
    let mut wire = Wire::new(bytes);
    while let Some((number, field)) = wire.next()? {
        match number {
            1 => {
                push(&mut out.inputs, field.text(name_max)?.to_owned(), limits.node_ports_max, "node inputs")?
            }
            2 => push(
                &mut out.outputs,
                field.text(name_max)?.to_owned(),
                limits.node_ports_max,
                "node outputs",
            )?,
            3 => out.name = field.text(name_max)?.to_owned(),
            4 => out.operator = field.text(name_max)?.to_owned(),
            5 => push(&mut attributes, field.bytes()?, limits.attributes_max, "attributes of a node")?,
            7 => domain = field.text(name_max)?,
            _ => {}
        }
    }
    out.is_ml = match domain {
        "" | "ai.onnx" => false,
        "ai.onnx.ml" => true,
        _ => {
            return Err(LoadError::CustomDomain {
                domain: domain.to_owned(),
                operator: out.operator,
                node: out.name,
            });
        }
    };
    for bytes in attributes {
        let (name, value) = attribute(bytes, &out, limits)?;
        if out.attributes.insert(name.clone(), value).is_some() {
            return Err(LoadError::Node {
                operator: out.operator,
                node: out.name,
                what: format!("attribute `{name}` is given twice"),
            });
        }
    }
    Ok(out)
}

/// Everything an attribute message may hold; `type` (or which field is set) says which one counts.
#[derive(Default)]
struct Held {
    kind: i64,
    float: f32,
    int: i64,
    text: String,
    tensor: Option<Tensor>,
    floats: Vec<f32>,
    ints: Vec<i64>,
    texts: Vec<String>,
}

fn attribute(bytes: &[u8], node: &RawNode, limits: &Limits) -> Result<(String, Attribute), LoadError> {
    let mut name = String::new();
    let mut held = Held::default();
    let mut last_kind = 0;
    let mut wire = Wire::new(bytes);
    while let Some((number, field)) = wire.next()? {
        // Kind implied by the field, for files of IR version 1 that leave `type` out.
        let (kind, done) = match number {
            1 => (0, name = field.text(limits.name_bytes_max)?.to_owned()),
            2 => (1, held.float = field.float()?),
            3 => (2, held.int = field.int()?),
            4 => (3, held.text = text(field.bytes()?, limits)?),
            5 => (4, held.tensor = Some(tensor(field.bytes()?, limits)?.1)),
            6 | 11 => {
                let (operator, name) = (node.operator.clone(), node.name.clone());
                return Err(LoadError::Subgraph { operator, node: name });
            }
            7 => (6, field.floats(&mut held.floats)?),
            8 => (7, field.ints(&mut held.ints)?),
            9 => (8, push(&mut held.texts, text(field.bytes()?, limits)?, limits.strings_max, "strings")?),
            20 => (0, held.kind = field.int()?),
            21 => return Err(unsupported("attribute references (model-local functions)")),
            10 | 14 | 15 | 22 | 23 => {
                return Err(unsupported(format!("attribute kind of `{}`", node.operator)));
            }
            _ => (0, ()),
        };
        let () = done;
        if kind != 0 {
            last_kind = kind;
        }
    }
    let kind = if held.kind == 0 { last_kind } else { held.kind };
    let value = match kind {
        1 => Attribute::Float(held.float),
        2 => Attribute::Int(held.int),
        3 => Attribute::Text(held.text),
        4 => match held.tensor {
            Some(tensor) => Attribute::Tensor(tensor),
            None => return Err(LoadError::Malformed { what: "tensor attribute without a tensor", at: 0 }),
        },
        6 => Attribute::Floats(held.floats),
        7 => Attribute::Ints(held.ints),
        8 => Attribute::Texts(held.texts),
        _ => return Err(unsupported(format!("attribute `{name}` of `{}` (kind {kind})", node.operator))),
    };
    Ok((name, value))
}

fn text(bytes: &[u8], limits: &Limits) -> Result<String, LoadError> {
    if bytes.len() > limits.name_bytes_max {
        let max = limits.name_bytes_max as u64;
        return Err(LoadError::Limit { what: "string bytes", got: bytes.len() as u64, max });
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(LoadError::Malformed { what: "text is not UTF-8", at: 0 }),
    }
}

/// The value fields of a tensor message as they come, before its element type is known.
#[derive(Default)]
struct Values<'a> {
    floats: Vec<f32>,
    doubles: Vec<f64>,
    ints: Vec<i64>,
    wide: Vec<i64>,
    texts: Vec<String>,
    raw: Option<&'a [u8]>,
}

fn tensor(bytes: &[u8], limits: &Limits) -> Result<(String, Tensor), LoadError> {
    let mut name = String::new();
    let (mut dims, mut code, mut external) = (Vec::new(), 0, false);
    let mut values = Values::default();
    let mut wire = Wire::new(bytes);
    while let Some((number, field)) = wire.next()? {
        match number {
            1 => field.ints(&mut dims)?,
            2 => code = field.int()?,
            3 => return Err(unsupported("segmented tensors")),
            4 => field.floats(&mut values.floats)?,
            5 => field.ints(&mut values.ints)?,
            6 => push(&mut values.texts, text(field.bytes()?, limits)?, limits.strings_max, "strings")?,
            7 => field.ints(&mut values.wide)?,
            8 => name = field.text(limits.name_bytes_max)?.to_owned(),
            9 => values.raw = Some(field.bytes()?),
            10 => field.doubles(&mut values.doubles)?,
            13 => external = true,
            14 => external |= field.int()? != 0,
            _ => {}
        }
    }
    if external {
        return Err(LoadError::ExternalData { tensor: name });
    }
    let shape = shape(&name, &dims, limits)?;
    let Some(data_type) = DataType::from_onnx(code) else {
        return Err(unsupported(format!("element type {code} of tensor `{name}`")));
    };
    let data = decode(data_type, values);
    let count = elements(&shape);
    match data {
        Some(data) if Some(data.len()) == count => Ok((name, Tensor { shape, data })),
        _ => Err(LoadError::Graph {
            what: format!("tensor `{name}` does not hold the {} values its shape says", count.unwrap_or(0)),
        }),
    }
}

fn shape(name: &str, dims: &[i64], limits: &Limits) -> Result<Vec<usize>, LoadError> {
    if dims.len() > limits.rank_max {
        let max = limits.rank_max as u64;
        return Err(LoadError::Limit { what: "dimensions of a tensor", got: dims.len() as u64, max });
    }
    let shape: Option<Vec<usize>> = dims.iter().map(|&dim| usize::try_from(dim).ok()).collect();
    let Some(shape) = shape else {
        return Err(LoadError::Graph { what: format!("tensor `{name}` has a negative dimension") });
    };
    let max = limits.tensor_elements_max;
    match extent(&shape) {
        Some(count) if count <= max => Ok(shape),
        count => Err(LoadError::Limit {
            what: "elements of a tensor",
            got: count.map_or(u64::MAX, |c| c as u64),
            max: max as u64,
        }),
    }
}

/// Values of the stated type, or `None` if raw bytes are cut short or an integer does not fit.
fn decode(data_type: DataType, values: Values<'_>) -> Option<TensorData> {
    fn whole<const N: usize>(bytes: &[u8]) -> Option<&[[u8; N]]> {
        let (chunks, rest) = bytes.as_chunks::<N>();
        rest.is_empty().then_some(chunks)
    }
    if let Some(raw) = values.raw {
        return Some(match data_type {
            DataType::F32 => TensorData::F32(whole(raw)?.iter().map(|c| f32::from_le_bytes(*c)).collect()),
            DataType::F64 => TensorData::F64(whole(raw)?.iter().map(|c| f64::from_le_bytes(*c)).collect()),
            DataType::I64 => TensorData::I64(whole(raw)?.iter().map(|c| i64::from_le_bytes(*c)).collect()),
            DataType::I32 => TensorData::I32(whole(raw)?.iter().map(|c| i32::from_le_bytes(*c)).collect()),
            DataType::I8 => TensorData::I8(raw.iter().map(|b| b.cast_signed()).collect()),
            DataType::U8 => TensorData::U8(raw.to_vec()),
            DataType::Bool => TensorData::Bool(raw.iter().map(|b| *b != 0).collect()),
            DataType::Text => return None,
        });
    }
    Some(match data_type {
        DataType::F32 => TensorData::F32(values.floats),
        DataType::F64 => TensorData::F64(values.doubles),
        DataType::I64 => TensorData::I64(values.wide),
        DataType::Text => TensorData::Text(values.texts),
        DataType::I32 => TensorData::I32(narrow(&values.ints)?),
        DataType::I8 => TensorData::I8(narrow(&values.ints)?),
        DataType::U8 => TensorData::U8(narrow(&values.ints)?),
        DataType::Bool => TensorData::Bool(values.ints.iter().map(|v| *v != 0).collect()),
    })
}

fn narrow<T: TryFrom<i64>>(values: &[i64]) -> Option<Vec<T>> {
    values.iter().map(|&v| T::try_from(v).ok()).collect()
}

fn value_info(bytes: &[u8], limits: &Limits) -> Result<ValueInfo, LoadError> {
    let mut out = ValueInfo { name: String::new(), data_type: None, shape: None };
    let mut wire = Wire::new(bytes);
    while let Some((number, field)) = wire.next()? {
        match number {
            1 => out.name = field.text(limits.name_bytes_max)?.to_owned(),
            2 => value_type(field.bytes()?, &mut out, limits)?,
            _ => {}
        }
    }
    Ok(out)
}

fn value_type(bytes: &[u8], out: &mut ValueInfo, limits: &Limits) -> Result<(), LoadError> {
    let mut wire = Wire::new(bytes);
    while let Some((number, field)) = wire.next()? {
        // Only `tensor_type` is read; sequences and maps (ZipMap's output) leave the type open.
        if number != 1 {
            continue;
        }
        let mut wire = Wire::new(field.bytes()?);
        while let Some((number, field)) = wire.next()? {
            match number {
                1 => {
                    let code = field.int()?;
                    out.data_type = DataType::from_onnx(code);
                    if out.data_type.is_none() && code != 0 {
                        return Err(unsupported(format!("element type {code} of value `{}`", out.name)));
                    }
                }
                2 => out.shape = Some(dims(field.bytes()?, limits)?),
                _ => {}
            }
        }
    }
    Ok(())
}

fn dims(bytes: &[u8], limits: &Limits) -> Result<Vec<Dim>, LoadError> {
    let mut out = Vec::new();
    let mut wire = Wire::new(bytes);
    while let Some((number, field)) = wire.next()? {
        if number != 1 {
            continue;
        }
        let mut dim = Dim::Unknown;
        let mut wire = Wire::new(field.bytes()?);
        while let Some((number, field)) = wire.next()? {
            match number {
                1 => dim = usize::try_from(field.int()?).map_or(Dim::Unknown, Dim::Fixed),
                2 => {
                    let name = field.text(limits.name_bytes_max)?;
                    dim = if name.is_empty() { Dim::Unknown } else { Dim::Symbolic(name.to_owned()) };
                }
                _ => {}
            }
        }
        push(&mut out, dim, limits.rank_max, "dimensions of a value")?;
    }
    Ok(out)
}
