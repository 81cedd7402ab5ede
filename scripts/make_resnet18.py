#!/usr/bin/env python3
"""Writes a ResNet-18 for 28x28 images (CIFAR style) with seeded random weights, for benchmarks only.

Use: VENV/bin/python scripts/make_resnet18.py OUT.onnx   (pip install onnx numpy)
Conv + BatchNormalization + Relu nodes as torch.onnx writes them before its own folding.
"""
import sys
import numpy as np
from onnx import helper, numpy_helper, save

rng = np.random.default_rng(18)
nodes, weights = [], []


def weight(name, array):
    weights.append(numpy_helper.from_array(array.astype(np.float32), name))
    return name


def conv_norm(x, name, ic, oc, k, stride):
    w = weight(f"{name}.w", rng.standard_normal((oc, ic, k, k)) * np.sqrt(2 / (ic * k * k)))
    nodes.append(helper.make_node("Conv", [x, w], [f"{name}.c"], kernel_shape=[k, k], strides=[stride] * 2, pads=[k // 2] * 4))
    norm = [weight(f"{name}.{p}", v) for p, v in (("g", np.ones(oc)), ("b", np.zeros(oc)), ("m", rng.standard_normal(oc) * 0.1), ("v", np.ones(oc)))]
    nodes.append(helper.make_node("BatchNormalization", [f"{name}.c", *norm], [f"{name}.n"]))
    return f"{name}.n"


def relu(x):
    nodes.append(helper.make_node("Relu", [x], [f"{x}.r"]))
    return f"{x}.r"


x = relu(conv_norm("input", "stem", 1, 64, 3, 1))
channels = 64
for stage, width in enumerate([64, 128, 256, 512]):
    for block in range(2):
        stride = 2 if stage and not block else 1
        name = f"s{stage}b{block}"
        y = relu(conv_norm(x, f"{name}a", channels, width, 3, stride))
        y = conv_norm(y, f"{name}b", width, width, 3, 1)
        skip = x if stride == 1 and channels == width else conv_norm(x, f"{name}d", channels, width, 1, stride)
        nodes.append(helper.make_node("Add", [y, skip], [f"{name}.s"]))
        x = relu(f"{name}.s")
        channels = width
nodes += [helper.make_node("GlobalAveragePool", [x], ["pool"]), helper.make_node("Flatten", ["pool"], ["flat"]),
          helper.make_node("Gemm", ["flat", weight("fc.w", rng.standard_normal((2, 512)) * 0.05), weight("fc.b", np.zeros(2))], ["logits"], transB=1)]
graph = helper.make_graph(nodes, "resnet18", [helper.make_tensor_value_info("input", 1, ["n", 1, 28, 28])], [helper.make_tensor_value_info("logits", 1, ["n", 2])], weights)
save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), sys.argv[1])
