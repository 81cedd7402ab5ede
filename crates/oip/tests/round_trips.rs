//! What is written can be read again: every type, as JSON, as binary data and over gRPC. And no bytes make the parsers
//! panic.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking and says loudly when it is skipped"
)]

use domain::{Tensor, TensorData};
use oip::{Answer, Ask, Encoding, Limits, Param, Params, Wants, grpc, rest};
use proptest::collection::vec;
use proptest::prelude::*;

/// Bits of the elements, so that NaN equals itself.
fn bits(tensor: &Tensor) -> (String, Vec<usize>, Vec<u64>, Vec<Vec<u8>>) {
    let numbers = match tensor.data() {
        TensorData::Bool(v) => v.iter().map(|&x| u64::from(x)).collect(),
        TensorData::Uint8(v) => v.iter().map(|&x| u64::from(x)).collect(),
        TensorData::Uint16(v) => v.iter().map(|&x| u64::from(x)).collect(),
        TensorData::Uint32(v) => v.iter().map(|&x| u64::from(x)).collect(),
        TensorData::Uint64(v) => v.clone(),
        TensorData::Int8(v) => v.iter().map(|&x| i64::from(x).cast_unsigned()).collect(),
        TensorData::Int16(v) => v.iter().map(|&x| i64::from(x).cast_unsigned()).collect(),
        TensorData::Int32(v) => v.iter().map(|&x| i64::from(x).cast_unsigned()).collect(),
        TensorData::Int64(v) => v.iter().map(|&x| x.cast_unsigned()).collect(),
        TensorData::Fp16(v) | TensorData::Fp32(v) => v.iter().map(|&x| u64::from(x.to_bits())).collect(),
        TensorData::Fp64(v) => v.iter().map(|&x| x.to_bits()).collect(),
        TensorData::Bytes(_) => vec![],
    };
    let texts = if let TensorData::Bytes(v) = tensor.data() { v.clone() } else { vec![] };
    (format!("{} {:?}", tensor.name(), tensor.data().data_type()), tensor.shape().to_vec(), numbers, texts)
}

fn all_bits(tensors: &[Tensor]) -> Vec<impl PartialEq + std::fmt::Debug> {
    tensors.iter().map(bits).collect()
}

/// Elements of any type; `finite` leaves out what JSON cannot carry.
fn data(n: usize, finite: bool) -> impl Strategy<Value = TensorData> {
    let float = move |x: f32| if finite && !x.is_finite() { 0.5 } else { x };
    let double = move |x: f64| if finite && !x.is_finite() { 0.5 } else { x };
    // Every half is a multiple of 2^-24 with eleven significant bits; these are some of all sizes.
    let half = any::<(bool, u16, u8)>().prop_map(|(minus, digits, power)| {
        let value = f32::from(digits % 2048) * 2.0_f32.powi(i32::from(power % 30) - 24);
        if minus { -value } else { value }
    });
    prop_oneof![
        vec(any::<bool>(), n).prop_map(TensorData::Bool),
        vec(any::<u8>(), n).prop_map(TensorData::Uint8),
        vec(any::<u16>(), n).prop_map(TensorData::Uint16),
        vec(any::<u32>(), n).prop_map(TensorData::Uint32),
        vec(any::<u64>(), n).prop_map(TensorData::Uint64),
        vec(any::<i8>(), n).prop_map(TensorData::Int8),
        vec(any::<i16>(), n).prop_map(TensorData::Int16),
        vec(any::<i32>(), n).prop_map(TensorData::Int32),
        vec(any::<i64>(), n).prop_map(TensorData::Int64),
        vec(half, n)
            .prop_map(|v| TensorData::Fp16(v.into_iter().filter(|x| x.abs() <= 65504.0).collect()))
            .prop_map(move |d| if d.len() == n { d } else { TensorData::Fp16(vec![1.5; n]) }),
        vec(any::<u32>(), n).prop_map(move |v| {
            TensorData::Fp32(v.into_iter().map(|b| float(f32::from_bits(b))).collect())
        }),
        vec(any::<u64>(), n).prop_map(move |v| {
            TensorData::Fp64(v.into_iter().map(|b| double(f64::from_bits(b))).collect())
        }),
        vec(any::<String>(), n)
            .prop_map(|v| TensorData::Bytes(v.into_iter().map(String::into_bytes).collect())),
    ]
}

fn tensors(finite: bool) -> impl Strategy<Value = Vec<Tensor>> {
    let one =
        (0_usize..4, 0_usize..5, "[a-zA-Zé\"\\\\ ]{1,12}").prop_flat_map(move |(rows, columns, name)| {
            data(rows * columns, finite)
                .prop_map(move |data| Tensor::new(name.clone(), vec![rows, columns], data).unwrap())
        });
    vec(one, 1..4).prop_map(|mut all| {
        all.sort_by(|a, b| a.name().cmp(b.name()));
        all.dedup_by(|a, b| a.name() == b.name());
        all
    })
}

fn parameters() -> impl Strategy<Value = Params> {
    let value = prop_oneof![
        any::<bool>().prop_map(Param::Bool),
        any::<i64>().prop_map(Param::Int),
        (u64::MAX / 2 + 1..).prop_map(Param::Uint),
        any::<String>().prop_map(Param::String),
        (-1e300_f64..1e300).prop_map(|x| Param::Double(x + 0.5)),
    ];
    proptest::collection::btree_map("[a-z]{1,8}", value, 0..4)
}

proptest! {
    #[test]
    fn requests_survive_json(inputs in tensors(true), parameters in parameters(), id in "[ -~]{0,9}") {
        let outputs = ["y".to_owned()];
        let ask = Ask { id: Some(&id), inputs: &inputs, outputs: &outputs, parameters: &parameters };
        let written = rest::write_request(&ask, Encoding::Json).unwrap();
        // The reference reader agrees that it is JSON.
        prop_assert!(serde_json::from_slice::<serde_json::Value>(&written.body).is_ok());
        let call = rest::parse_request(&written.body, written.header_len, &Limits::default());
        let call = call.map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(all_bits(&call.inputs), all_bits(&inputs));
        prop_assert_eq!((call.id, call.parameters), (Some(id), parameters));
        prop_assert!(!call.outputs[0].binary);
    }

    #[test]
    fn requests_survive_binary(inputs in tensors(false), parameters in parameters(), named in any::<bool>()) {
        let outputs = if named { vec!["y".to_owned()] } else { vec![] };
        let ask = Ask { id: None, inputs: &inputs, outputs: &outputs, parameters: &parameters };
        let written = rest::write_request(&ask, Encoding::Binary).unwrap();
        let call = rest::parse_request(&written.body, written.header_len, &Limits::default());
        let call = call.map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(all_bits(&call.inputs), all_bits(&inputs));
        prop_assert!(call.wants().is_binary("y") && call.parameters == parameters);
    }

    #[test]
    fn answers_survive_every_way(outputs in tensors(true), parameters in parameters()) {
        let answer = Answer {
            model_name: "m".into(), model_version: Some("1".into()), id: Some("7".into()), parameters, outputs,
        };
        for wants in [Wants::JSON, Wants::BINARY] {
            let written = rest::write_response(&answer, &wants).unwrap();
            let again = rest::parse_response(&written.body, written.header_len, &Limits::default());
            prop_assert!(again.is_ok_and(|a| a == answer));
        }
        for encoding in [Encoding::Json, Encoding::Binary] {
            let message = grpc::write_answer(&answer, encoding).unwrap();
            let again = grpc::message_to_answer(message, &Limits::default());
            prop_assert!(again.is_ok_and(|a| a == answer));
        }
    }

    #[test]
    fn requests_survive_grpc(inputs in tensors(false), parameters in parameters()) {
        let outputs = ["y".to_owned()];
        let ask = Ask { id: Some("7"), inputs: &inputs, outputs: &outputs, parameters: &parameters };
        for encoding in [Encoding::Json, Encoding::Binary] {
            let message = grpc::write_request("m", Some("2"), &ask, encoding).unwrap();
            let wire = prost::Message::encode_to_vec(&message);
            prop_assert!(grpc::scan_fields(&wire, &Limits::default()).is_ok());
            let message = prost::Message::decode(wire.as_slice()).unwrap();
            let again = grpc::message_to_call(message, &Limits::default());
            let again = again.map_err(|e| TestCaseError::fail(e.to_string()))?;
            prop_assert_eq!(all_bits(&again.call.inputs), all_bits(&inputs));
            prop_assert_eq!((again.model_name.as_str(), again.model_version.as_deref()), ("m", Some("2")));
            prop_assert_eq!(&again.call.parameters, &parameters);
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes in vec(any::<u8>(), 0..300)) {
        oip::fuzz_rest(&bytes);
        oip::fuzz_grpc(&bytes);
    }

    #[test]
    fn damaged_bodies_are_survived(inputs in tensors(false), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let none = Params::new();
        let ask = Ask { id: Some("7"), inputs: &inputs, outputs: &[], parameters: &none };
        for encoding in [Encoding::Json, Encoding::Binary] {
            let Ok(written) = rest::write_request(&ask, encoding) else { continue };
            let header = written.header_len.map_or(0, |n| u16::try_from(n).unwrap() | 0x8000);
            let mut body = [&header.to_le_bytes()[..], &written.body].concat();
            let index = at.index(body.len());
            body[index] = byte;
            oip::fuzz_rest(&body);
            body.truncate(index);
            oip::fuzz_rest(&body);
        }
        let message = grpc::write_request("m", None, &ask, Encoding::Binary).unwrap();
        let mut wire = prost::Message::encode_to_vec(&message);
        let index = at.index(wire.len());
        wire[index] = byte;
        oip::fuzz_grpc(&wire);
    }
}
