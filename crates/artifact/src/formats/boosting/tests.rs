//! Models written by hand.

use crate::{Limits, Verdict, scan};

fn verdict(bytes: &[u8]) -> Verdict {
    let part = scan("m", &bytes, &Limits::default());
    println!("{part:?}");
    part.verdict()
}

fn json(tree: &str) -> String {
    format!(
        r#"{{"learner":{{"attributes":{{}},"gradient_booster":{{"model":{{"trees":[{tree}]}},"name":"gbtree"}}}},"version":[2,0,3]}}"#
    )
}

#[test]
fn xgboost_json_is_followed() {
    let good = r#"{"left_children":[1,-1,-1],"right_children":[2,-1,-1],"split_indices":[0,0,0],"tree_param":{"num_nodes":"3"}}"#;
    assert_eq!(verdict(json(good).as_bytes()), Verdict::Clean);
    for bad in [
        good.replace("[1,-1,-1]", "[9,-1,-1]"),
        good.replace("[1,-1,-1]", "[1,-1]"),
        good.replace("\"3\"", "\"4\""),
        good.replace("[0,0,0]", "[-5,0,0]"),
        good.replace("\"split_indices\"", "\"left_children\""),
    ] {
        assert_eq!(verdict(json(&bad).as_bytes()), Verdict::Found, "{bad}");
    }
}

#[test]
fn xgboost_ubjson_is_followed() {
    let key = |k: &str| [b"i".as_slice(), &[k.len() as u8], k.as_bytes()].concat();
    let list = |n: &[i32]| {
        [b"[$l#i".as_slice(), &[n.len() as u8], &n.iter().flat_map(|n| n.to_be_bytes()).collect::<Vec<_>>()]
            .concat()
    };
    let model = |left: &[i32], rest: &[u8]| {
        let tree = [
            b"{".to_vec(),
            key("left_children"),
            list(left),
            key("right_children"),
            list(&[2, -1, -1]),
            b"}".to_vec(),
        ]
        .concat();
        [
            b"{".to_vec(),
            key("learner"),
            b"{".to_vec(),
            key("trees"),
            b"[".to_vec(),
            tree,
            b"]}}".to_vec(),
            rest.to_vec(),
        ]
        .concat()
    };
    assert_eq!(verdict(&model(&[1, -1, -1], b"")), Verdict::Clean);
    assert_eq!(verdict(&model(&[7, -1, -1], b"")), Verdict::Found);
    assert_eq!(verdict(&model(&[1, -1, -1], b"x")), Verdict::Found);
}

#[test]
fn lightgbm_text_is_followed() {
    let model = |left: &str| {
        format!(
            "tree\nversion=v4\nobjective=binary\nfeature_names=a b\n\nTree=0\nnum_leaves=3\nsplit_feature=0 1\nleft_child={left}\nright_child=-2 -3\nleaf_value=1 2 3\n\nend of trees\n"
        )
    };
    assert_eq!(verdict(model("1 -1").as_bytes()), Verdict::Clean);
    assert_eq!(verdict(model("5 -1").as_bytes()), Verdict::Found);
    assert_eq!(verdict(model("1").as_bytes()), Verdict::Found);
    assert_eq!(
        verdict(model("1 -1").replace("binary", "__import__('os').system('id')").as_bytes()),
        Verdict::Found
    );
}

proptest::proptest! {
    #[test]
    fn survives_anything(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..80)) {
        let _ = verdict(&[b"{i\x07learner".as_slice(), &bytes].concat());
        let _ = verdict(&[b"CBM1".as_slice(), &bytes].concat());
    }
}
