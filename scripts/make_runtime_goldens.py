#!/usr/bin/env python3
"""Makes the golden figures of crates/runtime/tests/goldens with onnxruntime.

Use: python3 -m venv VENV && VENV/bin/pip install onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6 scikit-learn==1.9.1 skl2onnx==1.20.0
     ASEPSIS_SHARED=../shared VENV/bin/python scripts/make_runtime_goldens.py
Everything is seeded; the versions used are written into each file.
"""
import csv, json, os, pathlib, sys
import numpy as np
import onnx, onnxruntime as ort, sklearn, skl2onnx
from onnx import TensorProto, helper, numpy_helper

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "crates/runtime/tests/goldens"
SHARED = pathlib.Path(os.environ.get("ASEPSIS_SHARED", ROOT.parent / "shared"))
MADE_BY = f"onnxruntime {ort.__version__}, onnx {onnx.__version__}, numpy {np.__version__}, scikit-learn {sklearn.__version__}, skl2onnx {skl2onnx.__version__}"
KINDS = {"float32": "f32", "float64": "f64", "int64": "i64", "int32": "i32", "bool": "bool", "uint8": "u8", "int8": "i8", "object": "text", "str": "text"}


def session(model):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(model, options)


def as_json(array):
    array = np.asarray(array)
    kind = KINDS.get(str(array.dtype), "text")
    flat = array.reshape(-1)
    if kind == "f32":
        values = [None if np.isnan(v) else ("inf" if v == np.inf else "-inf" if v == -np.inf else float(f"{v:.8g}")) for v in flat]
    elif kind == "text":
        values = [str(v) for v in flat]
    else:
        values = flat.tolist()
    return {"kind": kind, "shape": list(array.shape), "values": values}


def record(model_bytes, inputs):
    s = session(model_bytes)
    outs = s.run(None, inputs)
    return [dict(name=o.name, **as_json(v)) for o, v in zip(s.get_outputs(), outs)]


# ---- models of the shared data -----------------------------------------------------------------------------------
def tabular(name):
    rows = list(csv.DictReader(open(SHARED / f"data/tabular/{name}.csv")))
    drop = {"label", "split", "apache_iv_predicted_mortality", "hospitalid", "patientunitstayid"}
    columns = [c for c in rows[0] if c not in drop]
    x = np.array([[float(r[c]) if r[c] != "" else np.nan for c in columns] for r in rows], dtype=np.float64)
    train = np.array([r["split"] == "train" for r in rows])
    median = np.nanmedian(x[train], axis=0)
    x = np.where(np.isnan(x), median, x)
    return x[[r["split"] == "test" for r in rows]][:20].astype(np.float32)


def shared_models():
    images = np.load(SHARED / "data/imaging/pneumoniamnist.npz")["test_images"][:20]
    images = (images.astype(np.float32) / 255.0).reshape(-1, 1, 28, 28)
    cases = []
    for path in sorted((SHARED / "data/models").glob("*.onnx")):
        stem = path.stem
        x = images if stem.endswith("cnn") or "_cnn" in stem else tabular(stem.rsplit("_", 1)[0])
        outs = record(str(path), {"input": x})
        # Images are pixels / 255, which the test can make exactly; only whole numbers are written.
        given = {"kind": "pixels", "shape": list(x.shape), "values": np.rint(x * 255).astype(int).reshape(-1).tolist()} if x.ndim == 4 else as_json(x)
        cases.append({"model": path.name, "input": given if x.ndim != 4 else None, "outputs": outs})
    write("shared_models.json", {"made_by": MADE_BY, "pixels": np.rint(images * 255).astype(int).reshape(-1).tolist(), "cases": cases})


def write(name, value):
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / name).write_text(json.dumps(value, separators=(",", ":")) + "\n")
    print(name, (OUT / name).stat().st_size, "bytes")


# ---- one-operator models -------------------------------------------------------------------------------------------
rng = np.random.default_rng(20261123)


def f(*shape, scale=1.0):
    return np.round(rng.standard_normal(shape) * scale, 2).astype(np.float32)


def i(*values):
    return np.array(values, dtype=np.int64)


NP_TO_ONNX = {np.dtype("float32"): 1, np.dtype("uint8"): 2, np.dtype("int32"): 6, np.dtype("int64"): 7, np.dtype("bool"): 9, np.dtype("float64"): 11}


def one(op, inputs, consts=None, n_out=1, opset=17, domain="", out_type=None, **attributes):
    """A model of one node. `inputs` are fed; `consts` {position: array} are initializers."""
    consts = consts or {}
    names, fed, inits, infos = [], {}, [], []
    total = len(inputs) + len(consts)
    queue = list(inputs)
    for at in range(total):
        if at in consts:
            if consts[at] is None:
                names.append("")
                continue
            inits.append(numpy_helper.from_array(consts[at], f"c{at}"))
            names.append(f"c{at}")
        else:
            value = queue.pop(0)
            fed[f"x{at}"] = value
            kind = 8 if value.dtype == object else NP_TO_ONNX[value.dtype]
            infos.append(helper.make_tensor_value_info(f"x{at}", kind, list(value.shape)))
            names.append(f"x{at}")
    outs = [f"y{k}" for k in range(n_out)]
    node = helper.make_node(op, names, outs, name=f"n_{op}", domain=domain, **attributes)
    types = out_type or [1] * n_out
    graph = helper.make_graph([node], "g", infos, [helper.make_tensor_value_info(o, t, None) for o, t in zip(outs, types)], inits)
    opsets = [helper.make_opsetid("", opset)] + ([helper.make_opsetid("ai.onnx.ml", 3)] if domain else [])
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    return op, model.SerializeToString(), fed


def operators():
    m = []
    x = f(2, 3, 5, 7, scale=2)
    for op in ["Relu", "Sigmoid", "Tanh", "Erf", "Exp", "Neg", "Abs", "Floor", "Ceil", "Round", "Sign", "Softplus", "HardSwish", "Sin", "Cos", "Reciprocal"]:
        m.append(one(op, [f(3, 7, scale=2)]))
    m += [one("LeakyRelu", [x], alpha=0.2), one("Elu", [x], alpha=0.7), one("HardSigmoid", [x]), one("Log", [np.abs(x) + 0.1]), one("Sqrt", [np.abs(x)]),
          one("Gelu", [x], opset=20), one("Gelu", [x], opset=20, approximate="tanh"), one("PRelu", [x, f(3, 1, 1)]),
          one("Clip", [x], {1: np.float32(-0.5), 2: np.float32(0.7)}), one("Clip", [x], opset=9, min=-0.3, max=0.4), one("Clip", [x], {1: None, 2: np.float32(0.1)})]
    for op in ["Add", "Sub", "Mul", "Div"]:
        m += [one(op, [x, f(7) + 3]), one(op, [f(3, 1, 1), x + 4]), one(op, [x, f(2, 3, 5, 7) + 5]), one(op, [f(2, 1, 4), f(3, 1) + 3])]
        m.append(one(op, [np.array([7, -8, 9], dtype=np.int64), np.array([2, 3, -4], dtype=np.int64)], out_type=[7]))
    m += [one("Pow", [np.abs(x)], {1: np.float32(2.5)}), one("Pow", [x], {1: np.array(2, dtype=np.int64)}),
          one("Min", [x, f(7), f(5, 1)]), one("Max", [x, f(7)]), one("Sum", [x, f(7), f(5, 1)]), one("Mean", [x, f(7)])]
    for op in ["Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual"]:
        m.append(one(op, [np.round(f(4, 5)), np.round(f(5))], out_type=[9]))
    b = rng.random((3, 4)) > 0.5
    m += [one("And", [b, ~b[:1]], out_type=[9]), one("Or", [b, ~b[:1]], out_type=[9]), one("Xor", [b, b[:, :1]], out_type=[9]), one("Not", [b], out_type=[9]),
          one("Where", [b, f(3, 4), f(4)]), one("Mod", [i(7, -7, 5), i(3, 3, -3)], out_type=[7])]
    # Gemm and MatMul
    m += [one("Gemm", [f(3, 17)], {1: f(17, 5), 2: f(5)}), one("Gemm", [f(9, 33)], {1: f(41, 33), 2: f(41)}, transB=1), one("Gemm", [f(17, 3)], {1: f(5, 17), 2: f(1, 5)}, transA=1, transB=1, alpha=0.5, beta=2.0),
          one("Gemm", [f(4, 6), f(6, 70), f(4, 1)], alpha=0.3, beta=0.7), one("Gemm", [f(4, 6)], {1: f(6, 3)}), one("Gemm", [f(1, 100)], {1: f(100, 129), 2: f(129)}), one("Gemm", [f(5, 8)], {1: f(8, 3), 2: np.float32(0.5)}),
          one("MatMul", [f(2, 3, 4), f(4, 5)]), one("MatMul", [f(2, 3, 4)], {1: f(4, 37)}), one("MatMul", [f(2, 1, 3, 4), f(5, 4, 6)]), one("MatMul", [f(4), f(4, 6)]), one("MatMul", [f(3, 4), f(4)]), one("MatMul", [f(7), f(7)]), one("MatMul", [f(2, 5, 7), f(2, 7)[..., None]])]
    # Conv
    for n, c, h, w, oc, kh, kw, g, extra in [
        (2, 1, 9, 11, 5, 3, 3, 1, dict(pads=[1, 1, 1, 1])), (1, 3, 8, 8, 16, 3, 3, 1, dict(pads=[0, 1, 2, 3], strides=[2, 1])), (1, 16, 7, 7, 64, 3, 3, 1, dict(pads=[1] * 4)),
        (1, 20, 6, 9, 33, 1, 1, 1, dict()), (1, 17, 14, 14, 48, 3, 3, 1, dict(pads=[1] * 4, strides=[2, 2])), (1, 17, 10, 10, 19, 5, 3, 1, dict(dilations=[1, 2], pads=[2, 2, 2, 2])),
        (1, 8, 9, 9, 8, 3, 3, 8, dict(pads=[1] * 4)), (2, 6, 7, 5, 9, 3, 2, 3, dict(auto_pad="SAME_UPPER", strides=[2, 2])), (1, 4, 8, 7, 4, 2, 2, 1, dict(auto_pad="SAME_LOWER")), (1, 2, 8, 7, 4, 2, 2, 1, dict(auto_pad="VALID")),
        (2, 18, 4, 4, 64, 3, 3, 1, dict(pads=[1] * 4)), (1, 3, 15, 31, 7, 7, 7, 1, dict(pads=[3] * 4, strides=[2, 2])), (1, 8, 5, 29, 32, 3, 3, 1, dict(pads=[1] * 4, dilations=[2, 1]))]:
        m.append(one("Conv", [f(n, c, h, w)], {1: f(oc, c // g, kh, kw, scale=0.3), 2: f(oc)}, group=g, kernel_shape=[kh, kw], **extra))
    m += [one("Conv", [f(2, 3, 12)], {1: f(4, 3, 5)}, pads=[2, 2], strides=[2], kernel_shape=[5]), one("Conv", [f(1, 4, 6, 6)], {1: f(3, 4, 3, 3)})]
    # Pooling
    p = f(2, 5, 9, 8)
    m += [one("MaxPool", [p], kernel_shape=[2, 2], strides=[2, 2]), one("MaxPool", [p], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]), one("MaxPool", [p], kernel_shape=[3, 2], strides=[2, 3], ceil_mode=1),
          one("MaxPool", [p], kernel_shape=[2, 2], dilations=[2, 2]), one("AveragePool", [p], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]), one("AveragePool", [p], kernel_shape=[3, 3], pads=[1, 0, 1, 2], count_include_pad=1),
          one("AveragePool", [p], kernel_shape=[2, 2], auto_pad="SAME_UPPER", strides=[2, 2]), one("MaxPool", [f(2, 3, 11)], kernel_shape=[3], strides=[2]), one("GlobalAveragePool", [p]), one("GlobalMaxPool", [p])]
    # Normalisation
    m += [one("BatchNormalization", [p], {1: f(5), 2: f(5), 3: f(5), 4: np.abs(f(5)) + 0.1}, epsilon=1e-3), one("BatchNormalization", [f(4, 5)], {1: f(5), 2: f(5), 3: f(5), 4: np.abs(f(5)) + 0.1}),
          one("LayerNormalization", [f(2, 3, 8)], {1: f(8), 2: f(8)}), one("LayerNormalization", [f(2, 3, 8)], {1: f(3, 8)}, axis=1, epsilon=1e-3), one("InstanceNormalization", [p], {1: f(5), 2: f(5)}),
          one("Softmax", [x], axis=1), one("Softmax", [x]), one("Softmax", [x], opset=11, axis=2), one("LogSoftmax", [x], axis=-1), one("LogSoftmax", [f(3, 6)], opset=9)]
    # Shapes
    m += [one("Reshape", [x], {1: i(0, -1, 7)}), one("Flatten", [x], axis=2), one("Flatten", [x], axis=0), one("Transpose", [x], perm=[0, 2, 3, 1]), one("Transpose", [f(3, 5)]), one("Squeeze", [f(1, 3, 1, 2)], {1: i(0, 2)}), one("Squeeze", [f(1, 3, 1, 2)], opset=11, axes=[-2]),
          one("Squeeze", [f(1, 3, 1)]), one("Unsqueeze", [f(3, 2)], {1: i(0, -1)}), one("Unsqueeze", [f(3, 2)], opset=11, axes=[1]), one("Concat", [f(2, 3), f(2, 1), f(2, 4)], axis=1), one("Concat", [f(2, 3, 2), f(4, 3, 2)], axis=-3),
          one("Slice", [x], {1: i(1, 0), 2: i(100, -2), 3: i(2, -1), 4: i(2, 1)}), one("Slice", [x], {1: i(-1), 2: i(-100), 3: i(3), 4: i(-2)}), one("Slice", [x], opset=9, starts=[0, 1], ends=[1, 3], axes=[0, 2]), one("Slice", [x], {1: i(1), 2: i(2)}),
          one("Gather", [x], {1: np.array([[0, 2], [-1, 1]])}, axis=2), one("Gather", [f(5, 3)], {1: np.array(3)}, axis=0), one("Gather", [i(4, 5, 6)], {1: np.array([2, 0])}, out_type=[7]), one("Shape", [x], out_type=[7]), one("Shape", [x], out_type=[7], start=1, end=-1), one("Size", [x], out_type=[7]),
          one("ConstantOfShape", [i(2, 3)], value=numpy_helper.from_array(np.array([2.5], dtype=np.float32))), one("Expand", [f(3, 1)], {1: i(2, 1, 4)}), one("Tile", [f(2, 3)], {1: i(2, 3)}), one("Range", [np.array(2), np.array(11), np.array(3)], out_type=[7]),
          one("Pad", [x], {1: i(0, 1, 0, 2, 0, 0, 3, 1), 2: np.float32(1.5)}), one("Pad", [f(4, 4)], {1: i(-1, 1, 0, -2)}), one("Pad", [f(3, 3)], opset=7, pads=[0, 1, 2, 0], value=0.5),
          one("Split", [f(6, 4)], n_out=3, opset=13, axis=0), one("Split", [f(6, 4)], {1: i(1, 5)}, n_out=2), one("Split", [f(4, 7)], n_out=2, opset=11, axis=1, split=[3, 4]), one("Split", [f(7, 2)], n_out=3, opset=18, num_outputs=3),
          one("Identity", [x]), one("Dropout", [x]), one("Resize", [f(1, 2, 3, 4)], {1: None, 2: np.array([1, 1, 2, 3], dtype=np.float32)}, mode="nearest"), one("Resize", [f(1, 2, 3, 4)], {1: None, 2: None, 3: i(1, 2, 7, 5)}, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
          one("Upsample", [f(1, 2, 3, 4)], {1: np.array([1, 1, 2, 2], dtype=np.float32)}, opset=9, mode="nearest")]
    # Reductions
    for op in ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp"]:
        if op == "ReduceSum":
            m += [one(op, [x], {1: i(1, -1)}, keepdims=0), one(op, [x], opset=11, axes=[2]), one(op, [i(3, 4, -9)], out_type=[7])]
        else:
            m += [one(op, [x], axes=[1, -1], keepdims=0, opset=13 if op in ("ReduceMax", "ReduceMin") else 17), one(op, [x], keepdims=1, opset=13), one(op, [x], {1: i(2)}, opset=18, keepdims=0)]
    m += [one("ArgMax", [x], out_type=[7], axis=1), one("ArgMax", [np.round(x)], out_type=[7], axis=-1, keepdims=0, select_last_index=1), one("ArgMin", [x], out_type=[7], axis=2, keepdims=0)]
    for to in (7, 6, 9, 11, 2):
        m.append(one("Cast", [np.abs(f(3, 4)) * 3], out_type=[to], to=to))
    m += [one("Cast", [i(3, 0, -2)], to=1), one("Cast", [b], to=1), one("IsNaN", [np.array([1, np.nan], dtype=np.float32)], out_type=[9])]
    # ai.onnx.ml
    ml = dict(domain="ai.onnx.ml")
    m += [one("Scaler", [f(4, 3)], offset=[1.0, 2.0, 3.0], scale=[0.5, 2.0, 1.5], **ml), one("ArrayFeatureExtractor", [f(4, 5)], {1: i(3, 0)}, **ml), one("Binarizer", [f(3, 3)], threshold=0.2, **ml),
          one("Imputer", [np.array([[1, np.nan, 3], [np.nan, 5, 6]], dtype=np.float32)], imputed_value_floats=[9.0, 8.0, 7.0], replaced_value_float=float("nan"), **ml),
          one("LabelEncoder", [i(1, 5, 9)], out_type=[1], keys_int64s=[1, 9], values_floats=[0.5, 2.5], default_float=-1.0, **ml), one("LabelEncoder", [i(1, 5, 9)], out_type=[8], keys_int64s=[1, 9], values_strings=["a", "b"], default_string="?", **ml),
          one("LinearRegressor", [f(5, 3)], coefficients=f(6).tolist(), intercepts=[0.3, -0.2], targets=2, **ml)]
    for norm in ("MAX", "L1", "L2"):
        m.append(one("Normalizer", [f(4, 5)], norm=norm, **ml))
    for post in ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO"):
        m.append(one("LinearClassifier", [f(5, 3)], n_out=2, out_type=[7, 1], coefficients=f(9).tolist(), intercepts=f(3).tolist(), classlabels_ints=[3, 5, 8], post_transform=post, **ml))
        m.append(one("LinearClassifier", [f(5, 3)], n_out=2, out_type=[7, 1], coefficients=f(6).tolist(), intercepts=f(2).tolist(), classlabels_ints=[0, 1], post_transform=post, **ml))
    m += trees()
    return m


def trees():
    """Tiny hand-made ensembles: every branch mode, every post transform, base values of length 0, 1 and 2."""
    out = []
    x = np.round(f(21, 3) * 2) / 2
    x[3, 0] = np.nan

    def ensemble(modes, ids, classes, weights, n_labels, post, base, **extra):
        a = dict(nodes_treeids=[0] * 5 + [1] * 3, nodes_nodeids=[0, 1, 2, 3, 4, 0, 1, 2], nodes_featureids=[0, 1, 0, 0, 0, 2, 0, 0], nodes_modes=[modes[0], modes[1], "LEAF", "LEAF", "LEAF", modes[2], "LEAF", "LEAF"],
                 nodes_values=[0.0, 0.5, 0, 0, 0, -0.5, 0, 0], nodes_truenodeids=[1, 2, 0, 0, 0, 1, 0, 0], nodes_falsenodeids=[4, 3, 0, 0, 0, 2, 0, 0], post_transform=post)
        leaves = [(0, 2), (0, 3), (0, 4), (1, 1), (1, 2)]
        prefix = "class" if n_labels else "target"
        a[f"{prefix}_treeids"] = [leaves[k][0] for k in ids]
        a[f"{prefix}_nodeids"] = [leaves[k][1] for k in ids]
        a[f"{prefix}_ids"] = classes
        a[f"{prefix}_weights"] = weights
        if base:
            a["base_values"] = base
        if n_labels:
            a["classlabels_int64s"] = list(range(n_labels))
            return one("TreeEnsembleClassifier", [x], n_out=2, out_type=[7, 1], domain="ai.onnx.ml", **a, **extra)
        return one("TreeEnsembleRegressor", [x], domain="ai.onnx.ml", **a, **extra)

    leq = ["BRANCH_LEQ"] * 3
    mixed, positive = [0.3, -0.6, 0.2, 0.4, -0.1], [0.3, 0.6, 0.2, 0.3, 0.1]
    for modes in (["BRANCH_LT", "BRANCH_GTE", "BRANCH_GT"], ["BRANCH_EQ", "BRANCH_NEQ", "BRANCH_LEQ"], ["BRANCH_LT", "BRANCH_LT", "BRANCH_LT"], ["BRANCH_GT"] * 3):
        out.append(ensemble(modes, range(5), [0] * 5, mixed, 0, "NONE", None, n_targets=1))
    out.append(ensemble(leq, range(5), [0] * 5, mixed, 0, "NONE", [0.25], n_targets=1, nodes_missing_value_tracks_true=[1, 0, 0, 0, 0, 1, 0, 0]))
    for agg in ("SUM", "AVERAGE", "MIN", "MAX"):
        out.append(ensemble(leq, [0, 1, 2, 3, 4, 3], [0, 1, 0, 1, 0, 0], mixed + [0.9], 0, "NONE", [0.1, -0.2], n_targets=2, aggregate_function=agg))
    for post in ("NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO"):
        for base in (None, [0.05], [0.05, -0.1]):
            for weights in (mixed, positive):
                out.append(ensemble(leq, range(5), [0] * 5, weights, 2, post, base))
                if base is None or len(base) != 2:
                    # With two base values onnxruntime drops all votes for the second class; the runtime refuses such a file.
                    out.append(ensemble(leq, range(5), [1] * 5, weights, 2, post, base))
        out.append(ensemble(leq, [0, 1, 2, 3, 4, 0, 1, 2, 3, 4], [0] * 5 + [1] * 5, positive + [0.1, 0.2, 0.3, 0.4, 0.5], 2, post, None))
        out.append(ensemble(leq, [0, 1, 2, 3, 4, 0, 1, 2, 3, 4], [0, 1, 2, 0, 1, 2, 0, 1, 2, 0], mixed + positive, 3, post, [0.1, 0.2, -0.1]))
        out.append(ensemble(leq, range(5), [0, 1, 2, 0, 1], positive, 3, post, None))
    # PROBIT with votes for one of two classes is left out: onnxruntime leaves the second score undefined.
    out.append(ensemble(leq, [0, 1, 2, 3, 4], [0, 1, 0, 1, 0], [0.2, 0.4, 0.3, 0.3, 0.1], 0, "PROBIT", [0.1, 0.1], n_targets=2))
    return out


def operator_goldens():
    cases, skipped, blob = [], [], b""
    for op, model, fed in operators():
        try:
            outs = record(model, fed)
        except Exception as error:
            skipped.append((op, str(error)[:160]))
            continue
        cases.append({"operator": op, "model_at": len(blob), "model_bytes": len(model), "inputs": [dict(name=k, **as_json(v)) for k, v in fed.items()], "outputs": outs})
        blob += model
    for s in skipped:
        print("skipped:", *s)
    (OUT / "operators.onnxs").write_bytes(blob)  # the models one after another
    write("operators.json", {"made_by": MADE_BY, "cases": cases})


# ---- scikit-learn exports ----------------------------------------------------------------------------------------
def sklearn_goldens():
    from sklearn.datasets import load_diabetes, load_iris, load_breast_cancer
    from sklearn.ensemble import (ExtraTreesClassifier, GradientBoostingClassifier, GradientBoostingRegressor, HistGradientBoostingClassifier,
                                  RandomForestClassifier, RandomForestRegressor, AdaBoostClassifier)
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler, StandardScaler, Normalizer
    from sklearn.impute import SimpleImputer
    from sklearn.svm import SVC
    from sklearn.tree import DecisionTreeClassifier
    from skl2onnx import to_onnx
    iris, cancer, diabetes = load_iris(), load_breast_cancer(), load_diabetes()
    three, two, real = (iris.data, iris.target), (cancer.data, cancer.target), (diabetes.data, diabetes.target)
    text = (cancer.data, np.where(cancer.target == 1, "benign", "malignant"))
    todo = {
        "forest_two": (RandomForestClassifier(12, max_depth=5, random_state=0), two), "forest_three": (RandomForestClassifier(10, random_state=0), three),
        "forest_text": (RandomForestClassifier(8, max_depth=4, random_state=0), text),
        "boosting_two": (GradientBoostingClassifier(n_estimators=15, random_state=0), two), "boosting_three": (GradientBoostingClassifier(n_estimators=10, random_state=0), three),
        "hist_boosting_two": (HistGradientBoostingClassifier(max_iter=10, random_state=0), two), "tree": (DecisionTreeClassifier(max_depth=4, random_state=0), two), "tree_three": (DecisionTreeClassifier(random_state=0), three),
        "extra_trees": (ExtraTreesClassifier(6, max_depth=5, random_state=0), two), "forest_regressor": (RandomForestRegressor(6, max_depth=5, random_state=0), real), "boosting_regressor": (GradientBoostingRegressor(n_estimators=12, random_state=0), real),
        "logistic_scaled": (make_pipeline(StandardScaler(), LogisticRegression()), two), "logistic_three": (make_pipeline(MinMaxScaler(), LogisticRegression(max_iter=500)), three), "logistic_text": (make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()), text),
        "normalizer_forest": (make_pipeline(Normalizer(), RandomForestClassifier(4, max_depth=4, random_state=0)), three), "linear": (LinearRegression(), real), "mlp": (make_pipeline(StandardScaler(), MLPClassifier((12, 6), max_iter=300, random_state=0)), three),
        "adaboost": (AdaBoostClassifier(n_estimators=5, random_state=0), three),
    }
    cases = []
    for name, (estimator, (data, target)) in todo.items():
        estimator.fit(data, target)
        sample = data[:: max(1, len(data) // 20)][:20].astype(np.float32)
        for zipmap in ([False, True] if name == "forest_two" else [False]):
            try:
                options = {id(estimator): {"zipmap": zipmap}} if hasattr(estimator, "predict_proba") else None
                model = to_onnx(estimator, sample[:1], options=options, target_opset={"": 17, "ai.onnx.ml": 3})
                full = name + ("_zipmap" if zipmap else "")
                if zipmap:
                    # onnxruntime gives dictionaries; the figures of the same model without ZipMap are what we give.
                    plain = cases[-1]
                    outs = plain["outputs"][:1] + [dict(plain["outputs"][1], name=model.graph.output[1].name)]
                    outs = [dict(o, name=g.name) for o, g in zip(outs, model.graph.output)]
                else:
                    outs = record(model.SerializeToString(), {"X": sample})
                (OUT / "sklearn").mkdir(parents=True, exist_ok=True)
                (OUT / "sklearn" / f"{full}.onnx").write_bytes(model.SerializeToString())
                cases.append({"model": f"sklearn/{full}.onnx", "inputs": [dict(name="X", **as_json(sample))], "outputs": outs})
            except Exception as error:
                print("skipped:", name, str(error)[:200])
    write("sklearn.json", {"made_by": MADE_BY, "cases": cases})


if __name__ == "__main__":
    shared_models()
    operator_goldens()
    sklearn_goldens()
