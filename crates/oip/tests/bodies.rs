//! REST bodies: what is read, what is refused and with which words, and the limits at their ends.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking and says loudly when it is skipped"
)]

use domain::{DataType, Tensor, TensorData};
use oip::limits::{
    DIMS_MAX, FIELDS_MAX, NAME_BYTES_MAX, PARAMETERS_MAX, SKIP_DEPTH_MAX, STRING_BYTES_MAX, TENSORS_MAX,
};
use oip::rest::{parse_error, parse_request, parse_response, write_error, write_response};
use oip::{Answer, Call, Limits, Param, Params, RequestedOutput, Wants, WireError};

fn read(body: &str) -> Result<Call, WireError> {
    parse_request(body.as_bytes(), None, &Limits::default())
}

/// The tensors of a body that must be readable.
fn inputs(body: &str) -> Vec<Tensor> {
    match read(body) {
        Ok(call) => call.inputs,
        Err(error) => panic!("{body}: {error}"),
    }
}

/// The message with which a body is refused.
fn refusal(body: &str) -> String {
    match read(body) {
        Ok(_) => panic!("{body} was read"),
        Err(error) => error.to_string(),
    }
}

/// A request with one tensor of these fields.
fn one(tensor: &str) -> String {
    format!(r#"{{"inputs":[{{{tensor}}}]}}"#)
}

#[test]
fn keys_come_in_any_order_and_nested_data_is_flattened() {
    let expected = Tensor::new("x", vec![2, 2], TensorData::Fp32(vec![1.0, 2.5, -3.0, 4e-3])).unwrap();
    for tensor in [
        r#""name":"x","shape":[2,2],"datatype":"FP32","data":[1.0,2.5,-3,4e-3]"#,
        r#""data":[[1.0,2.5],[-3,4e-3]],"datatype":"FP32","shape":[2,2],"name":"x""#,
        r#""datatype":"FP32","data": [ [ 1.0 , 2.5 ] , [ -3 , 4e-3 ] ] ,"name":"x", "shape" : [ 2 , 2 ]"#,
        r#""name":"x","unknown":{"deep":[1,{"a":null}]},"shape":[2,2],"datatype":"FP32","data":[1,2.5,-3,0.004]"#,
    ] {
        assert_eq!(inputs(&one(tensor)), std::slice::from_ref(&expected), "{tensor}");
    }
}

#[test]
fn every_datatype_is_read_from_json() {
    let t = |d: &str, data: &str, n: usize| {
        inputs(&one(&format!(r#""name":"x","shape":[{n}],"datatype":"{d}","data":{data}"#)))
            .remove(0)
            .data()
            .clone()
    };
    assert_eq!(t("BOOL", "[true,false]", 2), TensorData::Bool(vec![true, false]));
    assert_eq!(t("UINT8", "[0,255]", 2), TensorData::Uint8(vec![0, 255]));
    assert_eq!(t("UINT16", "[65535]", 1), TensorData::Uint16(vec![u16::MAX]));
    assert_eq!(t("UINT32", "[4294967295]", 1), TensorData::Uint32(vec![u32::MAX]));
    assert_eq!(t("UINT64", "[18446744073709551615]", 1), TensorData::Uint64(vec![u64::MAX]));
    assert_eq!(t("INT8", "[-128]", 1), TensorData::Int8(vec![-128]));
    assert_eq!(t("INT16", "[-32768]", 1), TensorData::Int16(vec![i16::MIN]));
    assert_eq!(t("INT32", "[-2147483648]", 1), TensorData::Int32(vec![i32::MIN]));
    assert_eq!(t("INT64", "[-9223372036854775808]", 1), TensorData::Int64(vec![i64::MIN]));
    assert_eq!(t("FP16", "[0.1,65504]", 2), TensorData::Fp16(vec![0.099_975_586, 65504.0]));
    assert_eq!(t("FP32", "[0.1]", 1), TensorData::Fp32(vec![0.1]));
    assert_eq!(t("FP64", "[0.1]", 1), TensorData::Fp64(vec![0.1]));
    assert_eq!(t("BYTES", r#"["a\u00e9","" ]"#, 2), TensorData::Bytes(vec!["aé".into(), vec![]]));
}

#[test]
fn empty_tensors_are_tensors() {
    for (shape, data) in [("[0,30]", "[]"), ("[2,0]", "[[],[]]"), ("[2,0]", "[]"), ("[0]", "[]")] {
        let body = one(&format!(r#""name":"x","shape":{shape},"datatype":"FP32","data":{data}"#));
        assert_eq!(inputs(&body)[0].data().len(), 0, "{body}");
    }
    assert_eq!(inputs(r#"{"inputs":[]}"#).len(), 0);
}

#[test]
fn what_cannot_be_read_is_refused_with_what_to_do() {
    let x = |rest: &str| one(&format!(r#""name":"x",{rest}"#));
    for (body, words) in [
        (String::new(), "at byte 0 an object was expected"),
        ("[]".into(), "an object"),
        (r#"{"inputs":[]} x"#.into(), "at byte 14 the end of the body"),
        (r#"{"id":"1"}"#.into(), "`inputs` is missing in the request"),
        (one(r#""shape":[1],"datatype":"FP32","data":[1]"#), "`name` is missing in a tensor"),
        (x(r#""datatype":"FP32","data":[1]"#), "`shape` is missing in tensor `x`"),
        (x(r#""shape":[1],"data":[1]"#), "`datatype` is missing in tensor `x`"),
        (x(r#""shape":[1],"datatype":"FP32""#), "`data` is missing in tensor `x`"),
        (x(r#""shape":[1],"datatype":"FP33","data":[1]"#), "unknown datatype: use one of BOOL"),
        (x(r#""shape":[-1],"datatype":"FP32","data":[1]"#), "a whole number from 0 as dimension"),
        (x(r#""shape":[1.0],"datatype":"FP32","data":[1]"#), "a whole number from 0 as dimension"),
        (x(r#""shape":[2],"datatype":"FP32","data":[1]"#), "declares shape [2] but carries 1 elements"),
        (x(r#""shape":[18446744073709551615,2],"datatype":"FP32","data":[1]"#), "carries 1 elements"),
        (x(r#""shape":[2,2],"datatype":"FP32","data":[[1,2],[3]]"#), "not nested as its shape [2, 2]"),
        (x(r#""shape":[2,2],"datatype":"FP32","data":[[1,2],3,4]"#), "not nested"),
        (x(r#""shape":[4],"datatype":"FP32","data":[[1,2],[3,4]]"#), "not nested"),
        (x(r#""shape":[2,2],"datatype":"FP32","data":[1,[2,3],4]"#), "not nested"),
        (x(r#""shape":[1],"datatype":"FP32","data":1"#), "an array of elements"),
        (x(r#""shape":[2],"datatype":"FP32","data":[1,]"#), "an element behind `,`"),
        (x(r#""shape":[1],"datatype":"FP32","data":[NaN]"#), "JSON has no NaN"),
        (x(r#""shape":[1],"datatype":"FP32","data":["NaN"]"#), "a number"),
        (x(r#""shape":[1],"datatype":"FP32","data":[1e39]"#), "element 0 of tensor `x` is not FP32"),
        (x(r#""shape":[1],"datatype":"FP16","data":[70000]"#), "is not FP16"),
        (
            x(r#""shape":[2],"datatype":"INT8","data":[1,128]"#),
            "element 1 of tensor `x` is not INT8: write a whole",
        ),
        (x(r#""shape":[1],"datatype":"INT64","data":[1.5]"#), "is not INT64"),
        (x(r#""shape":[1],"datatype":"BOOL","data":[1]"#), "is not BOOL: write true or false"),
        (x(r#""shape":[1],"datatype":"BYTES","data":[1]"#), "a text in double quotes"),
        (x(r#""shape":[1],"shape":[1],"datatype":"FP32","data":[1]"#), "field `shape` appears twice"),
        (
            x(r#""shape":[1],"datatype":"FP32","data":[1],"parameters":{"binary_data_size":4}"#),
            "data of tensor `x` appears twice",
        ),
        (
            x(r#""shape":[1],"datatype":"FP32","parameters":{"binary_data_size":4}"#),
            "has 0 bytes where 4 were expected",
        ),
        (
            x(r#""shape":[1],"datatype":"FP32","parameters":{"binary_data_size":-4}"#),
            "from 0 as `binary_data_size`",
        ),
        (
            x(r#""shape":[1],"datatype":"FP32","parameters":{"shared_memory_region":"r"}"#),
            "shared memory is not supported",
        ),
        (r#"{"inputs":[],"outputs":[{"name":"y"},{"name":"y"}]}"#.into(), "output `y` appears twice"),
        (
            r#"{"inputs":[],"outputs":[{"name":"y","parameters":{"classification":2}}]}"#.into(),
            "classification",
        ),
        (r#"{"inputs":[],"outputs":[{}]}"#.into(), "`name` is missing in an output"),
        ("{\"inputs\":[],\"id\":\"a\\nb\"}".into(), "without control characters"),
    ] {
        let message = refusal(&body);
        assert!(message.contains(words), "{body}: {message}");
        assert!(!message.contains('\n') && message.len() < 400, "{message}");
    }
    let twice = r#"{"name":"x","shape":[1],"datatype":"FP32","data":[1]}"#;
    assert!(refusal(&format!(r#"{{"inputs":[{twice},{twice}]}}"#)).contains("tensor `x` appears twice"));
    assert!(
        parse_request(b"{\"inputs\":[],\"id\":\"\xff\"}", None, &Limits::default()).is_err(),
        "not UTF-8"
    );
}

#[test]
fn no_message_repeats_a_value() {
    // The secret value stands wherever a value can stand; every prefix and some damage must keep it out of messages.
    let body = r#"{"id":"777123","inputs":[{"name":"x","shape":[1,2],"datatype":"INT8","data":[777123,"777123"]},
        {"name":"t","shape":[1],"datatype":"BYTES","data":["777123"]}],"parameters":{"p":"777123"}}"#;
    for end in 0..=body.len() {
        if let Err(error) = read(&body[..end]) {
            assert!(!error.to_string().contains("777123"), "{error}");
        }
    }
    for from in ["INT8", "[1,2]", "BYTES"] {
        for to in ["FP32", "[3]", "FP16", "BOOL", "[[1]]", "INT64"] {
            if let Err(error) = read(&body.replace(from, to)) {
                assert!(!error.to_string().contains("777123"), "{error}");
            }
        }
    }
}

#[test]
fn limits_let_in_the_last_and_refuse_the_next() {
    let limits = Limits { elements: 6, body_bytes: 400, ..Limits::default() };
    let flat = |n: usize| {
        let data = vec!["1"; n].join(",");
        one(&format!(r#""name":"x","shape":[{n}],"datatype":"FP32","data":[{data}]"#))
    };
    let at = |body: &str, limits: &Limits| {
        parse_request(body.as_bytes(), None, limits).err().map(|e| e.to_string())
    };
    assert_eq!(at(&flat(6), &limits), None);
    assert!(at(&flat(7), &limits).is_some_and(|m| m.contains("elements: at most 6")));
    let exact = format!("{:<400}", r#"{"inputs":[]}"#);
    assert_eq!(at(&exact, &limits), None);
    assert!(at(&format!("{exact} "), &limits).is_some_and(|m| m.contains("at most 400")));

    let usual = Limits::default();
    let check = |max: usize, body: &dyn Fn(usize) -> String| {
        assert_eq!(at(&body(max), &usual), None, "at {max}");
        assert!(
            at(&body(max + 1), &usual).is_some_and(|m| m.contains(&format!("at most {max}"))),
            "at {max} + 1"
        );
    };
    check(TENSORS_MAX, &|n| {
        let tensor = |i| format!(r#"{{"name":"x{i}","shape":[1],"datatype":"BOOL","data":[true]}}"#);
        format!(r#"{{"inputs":[{}]}}"#, (0..n).map(tensor).collect::<Vec<_>>().join(","))
    });
    check(TENSORS_MAX, &|n| {
        let outputs: Vec<_> = (0..n).map(|i| format!(r#"{{"name":"y{i}"}}"#)).collect();
        format!(r#"{{"inputs":[],"outputs":[{}]}}"#, outputs.join(","))
    });
    check(DIMS_MAX, &|n| {
        one(&format!(r#""name":"x","shape":[{}],"datatype":"FP32","data":[1]"#, vec!["1"; n].join(",")))
    });
    check(NAME_BYTES_MAX, &|n| {
        one(&format!(r#""name":"{}","shape":[0],"datatype":"FP32","data":[]"#, "x".repeat(n)))
    });
    check(PARAMETERS_MAX, &|n| {
        let all: Vec<_> = (0..n).map(|i| format!(r#""p{i}":1"#)).collect();
        format!(r#"{{"inputs":[],"parameters":{{{}}}}}"#, all.join(","))
    });
    check(STRING_BYTES_MAX, &|n| {
        one(&format!(r#""name":"x","shape":[1],"datatype":"BYTES","data":["{}"]"#, "x".repeat(n)))
    });
    check(STRING_BYTES_MAX, &|n| format!(r#"{{"inputs":[],"parameters":{{"p":"{}"}}}}"#, "x".repeat(n)));
    check(FIELDS_MAX, &|n| {
        let all: Vec<_> = (1..n).map(|i| format!(r#""u{i}":1"#)).collect();
        format!(r#"{{"inputs":[],{}}}"#, all.join(","))
    });
    check(SKIP_DEPTH_MAX, &|n| format!(r#"{{"inputs":[],"u":{}{}}}"#, "[".repeat(n), "]".repeat(n)));
}

#[test]
fn data_nested_to_the_limit_is_read_and_bombs_are_refused() {
    let nested = |n: usize| {
        let shape = vec!["1"; n].join(",");
        let data = format!("{}7{}", "[".repeat(n), "]".repeat(n));
        one(&format!(r#""name":"x","shape":[{shape}],"datatype":"INT8","data":{data}"#))
    };
    assert_eq!(inputs(&nested(DIMS_MAX))[0].data(), &TensorData::Int8(vec![7]));
    assert!(read(&nested(DIMS_MAX + 1)).is_err());
    for bomb in ["[", "{\"a\":", "[[]", "{\"inputs\":["] {
        assert!(read(&bomb.repeat(1_000_000)).is_err());
        assert!(
            read(&format!(
                r#"{{"inputs":[{{"name":"x","datatype":"FP32","shape":[1],"data":{}"#,
                bomb.repeat(100_000)
            ))
            .is_err()
        );
    }
    // A huge shape costs no memory before its elements have come.
    let lie = one(r#""name":"x","shape":[4000000000,4000000000],"datatype":"FP64","data":[1]"#);
    assert!(matches!(read(&lie), Err(WireError::Shape(_))));
    let lie = one(r#""name":"x","shape":[4000000000],"datatype":"FP64","parameters":{"binary_data_size":8}"#);
    assert!(matches!(read(&lie), Err(WireError::Limit { what: "elements", .. })));
}

#[test]
fn wishes_for_outputs_are_kept() {
    let body = r#"{"inputs":[],"id":"7","parameters":{"binary_data_output":true,"a":1,"b":1.5,"c":"t","d":false,
        "e":18446744073709551615,"f":null,"g":{"x":[1]}},"outputs":[{"name":"y"},
        {"name":"z","parameters":{"binary_data":false}}]}"#;
    let Ok(call) = read(body) else { panic!("is read") };
    assert_eq!(call.id.as_deref(), Some("7"));
    assert!(call.binary_output_default);
    let wish = |name: &str, binary| RequestedOutput { name: name.into(), binary };
    assert_eq!(call.outputs, [wish("y", true), wish("z", false)]);
    assert!(call.wants().is_binary("y") && !call.wants().is_binary("z") && call.wants().is_binary("other"));
    let expected: Params = [
        ("a", Param::Int(1)),
        ("b", Param::Double(1.5)),
        ("c", Param::String("t".into())),
        ("d", Param::Bool(false)),
        ("e", Param::Uint(u64::MAX)),
    ]
    .map(|(k, v)| (k.to_owned(), v))
    .into();
    assert_eq!(call.parameters, expected);
}

#[test]
fn binary_data_must_fit_its_header_exactly() {
    let json =
        br#"{"inputs":[{"name":"a","shape":[2],"datatype":"INT16","parameters":{"binary_data_size":4}},
        {"name":"b","shape":[1],"datatype":"BYTES","parameters":{"binary_data_size":6}}]}"#;
    let body = |tail: &[u8]| [&json[..], tail].concat();
    let read =
        |tail: &[u8], header_len: usize| parse_request(&body(tail), Some(header_len), &Limits::default());
    let tail = [1, 0, 0xff, 0xff, 2, 0, 0, 0, b'h', b'i'];
    let call = read(&tail, json.len()).ok().unwrap();
    assert_eq!(call.inputs[0].data(), &TensorData::Int16(vec![1, -1]));
    assert_eq!(call.inputs[1].data(), &TensorData::Bytes(vec![b"hi".to_vec()]));
    for (tail, header_len, error) in [
        (&tail[..9], json.len(), "`binary_data_size` says more than the body holds"),
        (&[&tail[..], &[0]].concat(), json.len(), "does not fit the body"),
        (&tail, json.len() + 11, "does not fit the body"),
        (&tail, usize::MAX, "does not fit the body"),
        (&tail, json.len() - 1, "was expected"),
        (&[1, 0, 0xff, 0xff, 3, 0, 0, 0, b'h', b'i'], json.len(), "put the length of each element"),
        (&[1, 0, 0xff, 0xff, 1, 0, 0, 0, b'h', b'i'], json.len(), "put the length of each element"),
        (&[1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, b'h', b'i'], json.len(), "bytes in a `BYTES` element"),
    ] {
        let message = read(tail, header_len).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(message.contains(error), "{tail:?} {header_len}: {message}");
    }
    let truth =
        br#"{"inputs":[{"name":"a","shape":[2],"datatype":"BOOL","parameters":{"binary_data_size":2}}]}"#;
    let with =
        |tail: [u8; 2]| parse_request(&[&truth[..], &tail].concat(), Some(truth.len()), &Limits::default());
    assert!(with([0, 1]).is_ok());
    assert!(matches!(with([0, 2]), Err(WireError::Element { index: 1, datatype: DataType::Bool, .. })));
}

#[test]
fn an_answer_is_written_as_clients_expect_it() {
    let answer = Answer {
        model_name: "m".into(),
        model_version: Some("2".into()),
        id: Some("a\"b".into()),
        parameters: [("asepsis_advice".to_owned(), Param::String("use".into()))].into(),
        outputs: vec![
            Tensor::new("p", vec![1, 2], TensorData::Fp32(vec![0.1, 1.0])).unwrap(),
            Tensor::new("label", vec![1], TensorData::Bytes(vec![b"ok".to_vec()])).unwrap(),
        ],
    };
    let json = write_response(&answer, &Wants::JSON).unwrap();
    assert_eq!(
        String::from_utf8(json.body.clone()).unwrap(),
        r#"{"model_name":"m","model_version":"2","id":"a\"b","parameters":{"asepsis_advice":"use"},"outputs":[{"name":"p","datatype":"FP32","shape":[1,2],"data":[0.1,1.0]},{"name":"label","datatype":"BYTES","shape":[1],"data":["ok"]}]}"#
    );
    assert_eq!((json.header_len, json.content_type()), (None, "application/json"));
    let outputs = [RequestedOutput { name: "p".into(), binary: true }];
    let mixed = write_response(&answer, &Wants { outputs: &outputs, binary_default: false }).unwrap();
    let header_len = mixed.header_len.unwrap();
    assert_eq!(&mixed.body[header_len..], [0.1_f32.to_le_bytes(), 1.0_f32.to_le_bytes()].concat());
    assert!(
        String::from_utf8_lossy(&mixed.body[..header_len]).contains(r#""parameters":{"binary_data_size":8}"#)
    );
    for written in [&json, &mixed] {
        let again = parse_response(&written.body, written.header_len, &Limits::default()).ok().unwrap();
        assert!(again == answer);
    }
}

#[test]
fn what_json_cannot_carry_is_refused_and_never_written_as_null() {
    for data in [
        TensorData::Fp32(vec![f32::NAN]),
        TensorData::Fp64(vec![f64::INFINITY]),
        TensorData::Bytes(vec![vec![0xff]]),
    ] {
        let outputs = vec![Tensor::new("y", vec![1], data).unwrap()];
        let answer = Answer {
            model_name: "m".into(),
            model_version: None,
            id: None,
            parameters: Params::new(),
            outputs,
        };
        assert!(matches!(write_response(&answer, &Wants::JSON), Err(WireError::NeedsBinary { .. })));
        assert!(write_response(&answer, &Wants::BINARY).is_ok());
    }
}

#[test]
fn error_bodies_are_read_and_written() {
    assert_eq!(write_error("no \"such\" model"), br#"{"error":"no \"such\" model"}"#);
    assert_eq!(parse_error(br#"{"code":1,"error":"x"}"#).as_deref(), Some("x"));
    for none in [&b"<html>"[..], b"{}", b"{\"error\":{}}", b"\xff"] {
        assert_eq!(parse_error(none), None);
    }
}

#[test]
fn what_mlserver_and_triton_add_to_answers_is_tolerated() {
    let mlserver = br#"{"model_name":"m","id":"1","parameters":{"content_type":"np","headers":{"a":"b"}},"outputs":
        [{"name":"p","shape":[1,2],"datatype":"FP32","parameters":{"content_type":"np"},"data":[0.25,0.75]}]}"#;
    let answer = parse_response(mlserver, None, &Limits::default()).ok().unwrap();
    assert_eq!(answer.outputs[0].data(), &TensorData::Fp32(vec![0.25, 0.75]));
    let triton = br#"{"model_name":"m","model_version":"1","outputs":[{"name":"p","datatype":"FP32","shape":[1,2],"data":[0.25,0.75]}]}"#;
    assert!(parse_response(triton, None, &Limits::default()).is_ok());
    assert!(parse_response(b"{\"model_name\":\"m\"}", None, &Limits::default()).is_err(), "no outputs");
}
