//! Entry points for fuzzers: any bytes, no panic, and what was read survives being written and read again.

use bytes::Bytes;
use domain::TensorData;
use prost::Message as _;

use crate::grpc::proto::{ModelInferRequest, ModelInferResponse};
use crate::message::{Answer, Ask, Call, Encoding, Params, Wants};
use crate::{Limits, grpc, rest};

/// Bytes as a REST request. The first two bytes choose whether a header length is given, and which.
///
/// # Panics
/// When a request that was read does not survive being written and read again.
pub fn fuzz_rest(bytes: &[u8]) {
    let Some(([low, high], body)) = bytes.split_first_chunk::<2>() else { return };
    let header_len = (high & 0x80 != 0).then(|| usize::from(u16::from_le_bytes([*low, high & 0x7f])));
    let limits = Limits::default();
    if let Ok(call) = rest::parse_request(body, header_len, &limits) {
        for encoding in [Encoding::Json, Encoding::Binary] {
            call_survives(&call, encoding, &limits);
        }
    }
    if let Ok(answer) = rest::parse_response(body, header_len, &limits) {
        answer_survives(&answer, &limits);
    }
    let _ = rest::parse_error(body);
    let _ = rest::parse_model_metadata(body, &limits);
    let _ = rest::parse_server_metadata(body, &limits);
}

/// Bytes as gRPC messages.
///
/// # Panics
/// When a message that was read does not survive being written and read again.
pub fn fuzz_grpc(bytes: &[u8]) {
    let limits = Limits::default();
    if grpc::scan_fields(bytes, &limits).is_err() {
        return;
    }
    let wire = Bytes::copy_from_slice(bytes);
    if let Ok(message) = ModelInferRequest::decode(wire.clone())
        && let Ok(addressed) = grpc::message_to_call(message, &limits)
    {
        let call = &addressed.call;
        let names: Vec<_> = call.outputs.iter().map(|o| o.name.clone()).collect();
        let ask = Ask {
            id: call.id.as_deref(),
            inputs: &call.inputs,
            outputs: &names,
            parameters: &call.parameters,
        };
        let version = addressed.model_version.as_deref();
        let again = grpc::write_request(&addressed.model_name, version, &ask, addressed.encoding)
            .and_then(|m| grpc::message_to_call(m, &limits));
        assert!(again.is_ok_and(|a| same(&a.call.inputs, &call.inputs)), "the request survives");
    }
    if let Ok(message) = ModelInferResponse::decode(wire)
        && let Ok(answer) = grpc::message_to_answer(message, &limits)
    {
        let again =
            grpc::write_answer(&answer, Encoding::Binary).map(|m| grpc::message_to_answer(m, &limits));
        assert!(
            again.is_ok_and(|a| a.is_ok_and(|a| same(&a.outputs, &answer.outputs))),
            "the answer survives"
        );
    }
}

fn call_survives(call: &Call, encoding: Encoding, limits: &Limits) {
    let names: Vec<_> = call.outputs.iter().map(|o| o.name.clone()).collect();
    let parameters = Params::new();
    let ask = Ask { id: call.id.as_deref(), inputs: &call.inputs, outputs: &names, parameters: &parameters };
    // Binary data may hold what JSON cannot: not being written is the right answer then.
    let Ok(written) = rest::write_request(&ask, encoding) else { return };
    if written.body.len() > limits.body_bytes {
        return;
    }
    let again = rest::parse_request(&written.body, written.header_len, limits);
    assert!(again.is_ok_and(|a| a.id == call.id && same(&a.inputs, &call.inputs)), "the request survives");
}

fn answer_survives(answer: &Answer, limits: &Limits) {
    let Ok(written) = rest::write_response(answer, &Wants::BINARY) else { return };
    // An answer without a model's name can be read from others, but is written with an empty one, which is refused.
    if written.body.len() > limits.body_bytes || answer.model_name.is_empty() {
        return;
    }
    let again = rest::parse_response(&written.body, written.header_len, limits);
    assert!(again.is_ok_and(|a| same(&a.outputs, &answer.outputs)), "the answer survives");
}

/// Equal, with NaN equal to itself, as bytes are.
fn same(a: &[domain::Tensor], b: &[domain::Tensor]) -> bool {
    let bits = |data: &TensorData| {
        let mut out = Vec::new();
        crate::binary::encode(data, &mut out).map(|()| out).ok()
    };
    let equal = |(a, b): (&domain::Tensor, &domain::Tensor)| {
        (a.name(), a.shape(), bits(a.data())) == (b.name(), b.shape(), bits(b.data()))
    };
    a.len() == b.len() && a.iter().zip(b).all(equal)
}
