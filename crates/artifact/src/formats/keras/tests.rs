//! Configurations written by hand.

use crate::{Limits, Part, Verdict, scan};

fn read(layers: &str) -> Part {
    let text = format!(
        r#"{{"module":"keras","class_name":"Sequential","config":{{"name":"s","layers":[{layers}]}},"registered_name":null}}"#
    );
    scan("config.json", &text.into_bytes(), &Limits::default())
}

fn check(layer: &str, verdict: Verdict, rule: &str) {
    let part = read(layer);
    assert_eq!(part.verdict(), verdict, "{layer} {part:?}");
    assert!(verdict == Verdict::Clean || part.all_findings().any(|f| f.check == rule), "{layer} {part:?}");
}

#[test]
fn ordinary_layers_are_clean() {
    for layer in [
        r#"{"module":"keras.layers","class_name":"Dense","config":{"units":3,"activation":"relu","kernel_initializer":{"module":"keras.initializers","class_name":"GlorotUniform","config":{"seed":null},"registered_name":null}},"registered_name":null}"#,
        r#"{"module":"keras.layers","class_name":"TextVectorization","config":{"vocabulary":["a","b"],"split":"whitespace"}}"#,
        r#"{"module":"keras.layers","class_name":"Activation","config":{"activation":{"module":"keras.activations","class_name":"function","config":"gelu","registered_name":"gelu"}}}"#,
        r#"{"module":"keras.src.ops.numpy","class_name":"Add","config":{"name":"add"},"registered_name":"Add"}"#,
        r#"{"module":"keras.src.models.functional","class_name":"Functional","config":{"layers":[]}}"#,
        r#"{"class_name":"Dense","config":{"units":1}}"#,
        r#"{"module":null,"class_name":"MyLayer","config":{},"registered_name":"vendor>MyLayer"}"#,
        r#"{"module":"builtins","class_name":"function","config":"my_metric","registered_name":"function"}"#,
    ] {
        check(layer, Verdict::Clean, "");
    }
}

#[test]
fn code_is_found_wherever_it_is() {
    for layer in [
        r#"{"module":"keras.layers","class_name":"Lambda","config":{"function":{"class_name":"__lambda__","config":{"code":"4wEA"}}}}"#,
        r#"{"class_name":"Lambda","config":{"function":["4wEA",null,null],"function_type":"lambda"}}"#,
        r#"{"class_name":"TimeDistributed","config":{"layer":{"class_name":"pkg>Lambda","config":{}}}}"#,
        r#"{"class_name":"Dense","config":{"kernel_initializer":{"class_name":"__lambda__","config":{}}}}"#,
        r#"{"class_name":"X","config":{},"registered_name":"keras>Lambda"}"#,
    ] {
        check(layer, Verdict::Found, "S073");
    }
    check(
        r#"{"module":"keras.layers","class_name":"TorchModuleWrapper","config":{"module":"gAR9Lg=="}}"#,
        Verdict::Found,
        "S077",
    );
}

#[test]
fn foreign_objects_are_found() {
    for layer in [
        r#"{"module":"os","class_name":"function","config":"system","registered_name":"system"}"#,
        r#"{"module":"builtins","class_name":"function","config":"exec"}"#,
        r#"{"module":"vendor.secret","class_name":"Layer","config":{}}"#,
        r#"{"module":"keras.utils","class_name":"function","config":"get_file"}"#,
        r#"{"module":"keras.src.saving.saving_api","class_name":"function","config":"load_model"}"#,
        r#"{"module":"keras.config","class_name":"function","config":"enable_unsafe_deserialization"}"#,
        r#"{"module":"keras.layers","class_name":"Activation","config":{"activation":{"module":"subprocess","class_name":"Popen","config":{"args":"id"}}}}"#,
        r#"{"module":"tensorflow.python.platform","class_name":"function","config":"gfile"}"#,
        r#"{"module":"keras.src.models.cloning","class_name":"function","config":"clone_model"}"#,
        r#"{"class_name":"os.system","config":{}}"#,
    ] {
        check(layer, Verdict::Found, "S074");
    }
}

#[test]
fn files_and_duplicates_are_found() {
    check(
        r#"{"module":"keras.layers","class_name":"StringLookup","config":{"vocabulary":"/etc/passwd"}}"#,
        Verdict::Found,
        "S075",
    );
    check(
        r#"{"module":"keras.layers","class_name":"TFSMLayer","config":{"filepath":"sm"}}"#,
        Verdict::Found,
        "S075",
    );
    check(
        r#"{"module":"keras.layers","class_name":"Dense","config":{},"class_name":"Dense"}"#,
        Verdict::Found,
        "S078",
    );
}
