#!/usr/bin/env python3
"""CPU time per call of onnxruntime on one thread, in the format of `cargo bench -p runtime`.

Use: VENV/bin/python scripts/bench_onnxruntime.py [MODEL.onnx ...]   (pip install onnxruntime==1.32.0 numpy)
Calls go through IOBinding on fixed buffers, so that Python's conversion of inputs and outputs is not counted; what is
left of Python (about 1 us a call) is printed as `call_overhead`, measured with a model of one Identity node if `onnx` is there.
"""
import os, pathlib, sys, time
import numpy as np
import onnxruntime as ort

SHARED = pathlib.Path(os.environ.get("ASEPSIS_SHARED", pathlib.Path(__file__).resolve().parent.parent.parent / "shared"))
NAMES = ["wdbc_mlp", "wdbc_gbt", "heart_cleveland_gbt", "pneumonia_cnn"]


def session(model):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def microseconds(call):
    for _ in range(5):
        call()
    start = time.perf_counter()
    call()
    calls = min(100_000, max(3, int(0.2 / max(time.perf_counter() - start, 1e-7))))
    best = float("inf")
    for _ in range(5):
        before = time.thread_time_ns()
        for _ in range(calls):
            call()
        best = min(best, (time.thread_time_ns() - before) / calls / 1000)
    return best


def measure(name, model):
    s = session(model)
    given = s.get_inputs()[0]
    for batch in (1, 32):
        shape = [d if isinstance(d, int) else batch for d in given.shape]
        x = np.random.default_rng(1).random(shape, dtype=np.float32)
        binding = s.io_binding()
        binding.bind_cpu_input(given.name, x)
        for out in s.get_outputs():
            binding.bind_output(out.name)
        print(name, batch, f"{microseconds(lambda: s.run_with_iobinding(binding)):.2f}", flush=True)


if __name__ == "__main__":
    paths = [pathlib.Path(p) for p in sys.argv[1:]] or [SHARED / f"data/models/{n}.onnx" for n in NAMES]
    for path in paths:
        measure(path.stem, str(path))
    try:
        from onnx import helper

        graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [helper.make_tensor_value_info("x", 1, ["n", 4])], [helper.make_tensor_value_info("y", 1, ["n", 4])])
        measure("call_overhead", helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString())
    except ImportError:
        pass
