//! gRPC messages that are not what they should be.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking and says loudly when it is skipped"
)]

use domain::TensorData;
use oip::grpc::proto::model_infer_request::InferInputTensor;
use oip::grpc::proto::{InferTensorContents, ModelInferRequest};
use oip::grpc::{message_to_call, scan_fields};
use oip::limits::{PARAMETERS_MAX, TENSORS_MAX};
use oip::{Encoding, Limits, WireError};

fn tensor(datatype: &str, shape: &[i64], contents: InferTensorContents) -> InferInputTensor {
    InferInputTensor {
        name: "x".into(),
        datatype: datatype.into(),
        shape: shape.to_vec(),
        contents: Some(contents),
        ..Default::default()
    }
}

fn request(inputs: Vec<InferInputTensor>) -> ModelInferRequest {
    ModelInferRequest { model_name: "m".into(), inputs, ..Default::default() }
}

fn refusal(message: ModelInferRequest) -> WireError {
    message_to_call(message, &Limits::default()).err().expect("is refused")
}

#[test]
fn typed_contents_are_read_and_answered_typed() {
    let contents = InferTensorContents { int_contents: vec![-128, 127], ..Default::default() };
    let read =
        message_to_call(request(vec![tensor("INT8", &[2], contents)]), &Limits::default()).ok().unwrap();
    assert_eq!(read.call.inputs[0].data(), &TensorData::Int8(vec![-128, 127]));
    assert_eq!(read.encoding, Encoding::Json);
}

#[test]
fn contents_in_the_wrong_field_or_out_of_range_are_refused() {
    let int = |v: Vec<i32>| InferTensorContents { int_contents: v, ..Default::default() };
    for (datatype, shape, contents) in [
        ("INT8", 1, int(vec![128])),
        ("INT16", 1, int(vec![40_000])),
        ("FP32", 1, int(vec![1])),
        ("FP16", 1, int(vec![1])),
        ("INT32", 2, int(vec![1])),
        (
            "FP32",
            1,
            InferTensorContents { fp32_contents: vec![1.0], int_contents: vec![1], ..Default::default() },
        ),
        ("BF16", 1, int(vec![1])),
        ("INT32", -1, int(vec![1])),
        ("INT32", i64::MAX, int(vec![1])),
    ] {
        refusal(request(vec![tensor(datatype, &[shape], contents)]));
    }
}

#[test]
fn raw_contents_must_be_one_for_each_tensor_and_the_only_ones() {
    let plain = || tensor("UINT8", &[1], InferTensorContents::default());
    let mut message = request(vec![plain()]);
    message.raw_input_contents = vec![vec![7].into()];
    assert!(message_to_call(message.clone(), &Limits::default()).is_ok());
    message.raw_input_contents.push(vec![7].into());
    assert!(matches!(refusal(message.clone()), WireError::Unsupported { .. }));
    message.raw_input_contents = vec![vec![7, 8].into()];
    assert!(matches!(refusal(message.clone()), WireError::BinarySize { found: 2, wanted: 1, .. }));
    let typed = InferTensorContents { uint_contents: vec![1], ..Default::default() };
    let mut both = request(vec![tensor("UINT8", &[1], typed)]);
    both.raw_input_contents = vec![vec![7].into()];
    assert!(matches!(refusal(both), WireError::Duplicate { .. }));
    let mut twice = request(vec![plain(), plain()]);
    twice.raw_input_contents = vec![vec![7].into(), vec![7].into()];
    assert!(matches!(refusal(twice), WireError::Duplicate { what: "tensor", .. }));
}

#[test]
fn a_message_of_many_empty_tensors_is_refused_before_it_is_decoded() {
    let max = TENSORS_MAX * 3 + PARAMETERS_MAX + 8;
    let empty = |n: usize| [0x2a, 0x00].repeat(n);
    assert!(scan_fields(&empty(max), &Limits::default()).is_ok());
    assert!(matches!(scan_fields(&empty(max + 1), &Limits::default()), Err(WireError::Limit { .. })));
    for broken in [
        &[0x2a][..],
        &[0x2a, 0x05, 0],
        &[0x0b],
        &[0xff; 11],
        &[0x2a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    ] {
        assert!(
            matches!(scan_fields(broken, &Limits::default()), Err(WireError::Syntax { .. })),
            "{broken:?}"
        );
    }
}
