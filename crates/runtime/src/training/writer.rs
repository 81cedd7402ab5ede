//! Writes a graph as an ONNX file: the counterpart of the reader, for models that were trained here.
//!
//! Source: onnx.proto3 (onnx 1.23, IR version 8); protobuf.dev, "Encoding".

use crate::graph::{Attribute, Graph, Node};
use crate::tensor::{DataType, Dim, Tensor, TensorData, ValueInfo};

/// IR version written: the one that belongs to operator set 17.
const IR_VERSION: u64 = 8;

/// A message on its way to bytes.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value as u8 & 0x7f) | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn int(&mut self, field: u64, value: u64) {
        self.varint(field << 3);
        self.varint(value);
    }

    fn signed(&mut self, field: u64, value: i64) {
        self.int(field, value.cast_unsigned());
    }

    fn float(&mut self, field: u64, value: f32) {
        self.varint(field << 3 | 5);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, value: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    fn message(&mut self, field: u64, value: &Message) {
        self.bytes(field, &value.0);
    }

    fn text(&mut self, field: u64, value: &str) {
        self.bytes(field, value.as_bytes());
    }
}

/// The bytes of an ONNX file that holds this graph.
pub(super) fn model(graph: &Graph, name: &str) -> Vec<u8> {
    let mut out = Message::default();
    out.int(1, IR_VERSION);
    out.text(2, "asepsis");
    out.text(3, env!("CARGO_PKG_VERSION"));
    out.message(7, &body(graph, name));
    for (domain, version) in [("", graph.opset), ("ai.onnx.ml", graph.opset_ml)] {
        if version > 0 {
            let mut import = Message::default();
            import.text(1, domain);
            import.signed(2, version);
            out.message(8, &import);
        }
    }
    out.0
}

fn body(graph: &Graph, name: &str) -> Message {
    let mut out = Message::default();
    for item in &graph.nodes {
        out.message(1, &node(graph, item));
    }
    out.text(2, name);
    for (id, value) in &graph.initializers {
        out.message(5, &tensor(graph.name(*id), value));
    }
    for (_, info) in &graph.inputs {
        out.message(11, &value_info(info));
    }
    for (_, info) in &graph.outputs {
        out.message(12, &value_info(info));
    }
    out
}

fn node(graph: &Graph, node: &Node) -> Message {
    let mut out = Message::default();
    let name = |id: &Option<crate::graph::ValueId>| id.map_or("", |id| graph.name(id)).to_owned();
    for input in &node.inputs {
        out.text(1, &name(input));
    }
    for output in &node.outputs {
        out.text(2, &name(output));
    }
    out.text(3, &node.name);
    out.text(4, &node.operator);
    for (name, value) in &node.attributes {
        out.message(5, &attribute(name, value));
    }
    if node.is_ml {
        out.text(7, "ai.onnx.ml");
    }
    out
}

fn attribute(name: &str, value: &Attribute) -> Message {
    let mut out = Message::default();
    out.text(1, name);
    let kind = match value {
        Attribute::Float(v) => {
            out.float(2, *v);
            1
        }
        Attribute::Int(v) => {
            out.signed(3, *v);
            2
        }
        Attribute::Text(v) => {
            out.text(4, v);
            3
        }
        Attribute::Tensor(v) => {
            out.message(5, &tensor("", v));
            4
        }
        Attribute::Floats(v) => {
            v.iter().for_each(|v| out.float(7, *v));
            6
        }
        Attribute::Ints(v) => {
            v.iter().for_each(|v| out.signed(8, *v));
            7
        }
        Attribute::Texts(v) => {
            v.iter().for_each(|v| out.text(9, v));
            8
        }
    };
    out.int(20, kind);
    out
}

/// The number of an element type in ONNX.
fn code(data_type: DataType) -> u64 {
    match data_type {
        DataType::F32 => 1,
        DataType::U8 => 2,
        DataType::I8 => 3,
        DataType::I32 => 6,
        DataType::I64 => 7,
        DataType::Text => 8,
        DataType::Bool => 9,
        DataType::F64 => 11,
    }
}

fn tensor(name: &str, tensor: &Tensor) -> Message {
    let mut out = Message::default();
    for length in &tensor.shape {
        out.int(1, *length as u64);
    }
    out.int(2, code(tensor.data_type()));
    out.text(8, name);
    let raw: Vec<u8> = match &tensor.data {
        TensorData::F32(v) => v.iter().flat_map(|v| v.to_le_bytes()).collect(),
        TensorData::F64(v) => v.iter().flat_map(|v| v.to_le_bytes()).collect(),
        TensorData::I64(v) => v.iter().flat_map(|v| v.to_le_bytes()).collect(),
        TensorData::I32(v) => v.iter().flat_map(|v| v.to_le_bytes()).collect(),
        TensorData::I8(v) => v.iter().map(|v| v.cast_unsigned()).collect(),
        TensorData::U8(v) => v.clone(),
        TensorData::Bool(v) => v.iter().map(|v| u8::from(*v)).collect(),
        TensorData::Text(v) => {
            v.iter().for_each(|v| out.text(6, v));
            return out;
        }
    };
    out.bytes(9, &raw);
    out
}

fn value_info(info: &ValueInfo) -> Message {
    let mut out = Message::default();
    out.text(1, &info.name);
    let Some(data_type) = info.data_type else { return out };
    let mut kind = Message::default();
    kind.int(1, code(data_type));
    if let Some(dims) = &info.shape {
        let mut shape = Message::default();
        for dim in dims {
            let mut entry = Message::default();
            match dim {
                Dim::Fixed(length) => entry.int(1, *length as u64),
                Dim::Symbolic(name) => entry.text(2, name),
                Dim::Unknown => {}
            }
            shape.message(1, &entry);
        }
        kind.message(2, &shape);
    }
    let mut holder = Message::default();
    holder.message(1, &kind);
    out.message(2, &holder);
    out
}
