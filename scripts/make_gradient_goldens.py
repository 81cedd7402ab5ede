#!/usr/bin/env python3
"""Makes the golden figures of crates/runtime/tests/goldens/gradients with PyTorch (1.12.1 or later, CPU).

Use: python3.10 -m venv VENV && VENV/bin/pip install torch==1.12.1 "numpy<2" onnx==1.16.2
     ASEPSIS_SHARED=../shared VENV/bin/python scripts/make_gradient_goldens.py
Small networks with seeded weights are exported to ONNX; for seeded inputs and cotangents the file holds PyTorch's
scores and vector-Jacobian products, and the scores after three steps of AdamW and of gradient descent with momentum.
"""
import json, math, os, pathlib, warnings
import torch
from torch import nn
import torch.nn.functional as F

warnings.filterwarnings("ignore")
ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "crates/runtime/tests/goldens/gradients"
SHARED = pathlib.Path(os.environ.get("ASEPSIS_SHARED", ROOT.parent / "shared"))
OUT.mkdir(parents=True, exist_ok=True)
torch.manual_seed(7)


class Residual(nn.Module):
    """Convolutions with stride, dilation, groups, batch normalisation, a residual and both pools."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(2, 20, 3, 2, 1, bias=False)
        self.n = nn.BatchNorm2d(20)
        self.b = nn.Conv2d(20, 20, 3, 1, 2, dilation=2)
        self.c = nn.Conv2d(20, 20, 3, 1, 1, groups=5)
        self.d = nn.Conv2d(20, 6, (5, 3), (3, 2), (2, 0))
        self.f = nn.Linear(6, 3)
        for m in (self.n,):
            m.running_mean.normal_()
            m.running_var.uniform_(0.5, 2)
            m.weight.data.uniform_(0.5, 2)
            m.bias.data.normal_()

    def forward(self, x):
        x = torch.relu(self.n(self.a(x)))
        x = torch.relu(self.b(x) + x)
        x = F.leaky_relu(self.c(x), 0.1)
        x = F.max_pool2d(x, 3, 2, 1) + F.avg_pool2d(x, 3, 2, 1)
        x = F.elu(self.d(x))
        return self.f(x.mean((2, 3)))


class Attention(nn.Module):
    """One block of a transformer on tokens, with layer normalisation and Gelu."""

    def __init__(self, tokens=5, width=8, heads=2):
        super().__init__()
        self.tokens, self.width, self.heads = tokens, width, heads
        self.qkv = nn.Linear(width, 3 * width)
        self.o = nn.Linear(width, width)
        self.n1, self.n2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 16), nn.Linear(16, width)
        self.head = nn.Linear(width, 2)

    def forward(self, x):
        n, t, w, h = x.shape[0], self.tokens, self.width, self.heads
        y = self.qkv(self.n1(x)).reshape(-1, t, 3, h, w // h).permute(2, 0, 3, 1, 4)
        q, k, v = y[0], y[1], y[2]
        a = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(w // h), -1)
        x = x + self.o((a @ v).transpose(1, 2).reshape(-1, t, w))
        x = x + self.down(F.gelu(self.up(self.n2(x))))
        return self.head(x.mean(1))


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 1))
        self.register_buffer("mean", torch.randn(6))

    def forward(self, x):
        return torch.sigmoid(self.net((x - self.mean) / 1.7))


class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 18, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(18, 9, 3, 2, 1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(36, 12), nn.ReLU(), nn.Linear(12, 3))

    def forward(self, x):
        return self.net(x)


def vjp(net, x, d):
    z = x.clone().requires_grad_(True)
    y = net(z)
    y.backward(d)
    return y.detach(), z.grad


def flat(t):
    return [float(f"{v:.8g}") for v in t.reshape(-1).tolist()]


def trained(net, x, y, make, one):
    import copy
    net = copy.deepcopy(net).train(False)
    optimizer = make(net.parameters())
    logits = (lambda: net.net((x - net.mean) / 1.7)) if one else (lambda: net(x))
    for _ in range(3):
        optimizer.zero_grad()
        z = logits()
        loss = F.binary_cross_entropy_with_logits(z[:, 0], y.float()) if one else F.cross_entropy(z, y)
        loss.backward()
        optimizer.step()
    return flat(logits())


cases = []
for name, net, shape in [("residual", Residual(), (2, 17, 14)), ("attention", Attention(), (5, 8)),
                         ("mlp", Mlp(), (6,)), ("cnn", Cnn(), (1, 16, 16))]:
    net.eval()
    x = torch.randn(3, *shape)
    torch.onnx.export(net, x, OUT / f"{name}.onnx", input_names=["input"], output_names=["scores"],
                      dynamic_axes={"input": {0: "n"}, "scores": {0: "n"}}, opset_version=15, training=torch.onnx.TrainingMode.PRESERVE)
    d = torch.randn_like(net(x))
    y, g = vjp(net, x, d)
    case = {"model": f"gradients/{name}.onnx", "rows": 3, "input": flat(x), "cotangent": flat(d), "scores": flat(y), "gradient": flat(g)}
    if name in ("mlp", "cnn", "residual"):
        one = name == "mlp"
        labels = torch.tensor([1, 0, 1]) if one else torch.tensor([2, 0, 1])
        case["labels"] = labels.tolist()
        for p in net.parameters():
            p.requires_grad_(True)
        case["adamw"] = trained(net, x, labels, lambda p: torch.optim.AdamW(p, lr=1e-2, weight_decay=0.1), one)
        case["sgd"] = trained(net, x, labels, lambda p: torch.optim.SGD(p, lr=1e-2, momentum=0.9, weight_decay=0.1), one)
    cases.append(case)

shared = []
path = SHARED / "data/models/pneumonia_cnn.onnx"
if path.exists():
    import onnx
    from onnx import numpy_helper
    w = {i.name: torch.tensor(numpy_helper.to_array(i).copy()) for i in onnx.load(path).graph.initializer}

    def pneumonia(x):
        x = (x - 0.5) / 0.5
        x = torch.relu(F.conv2d(x, w["c1.weight"], w["c1.bias"], padding=1))
        x = F.max_pool2d(torch.relu(F.conv2d(x, w["c2.weight"], w["c2.bias"], padding=1)), 2)
        x = F.max_pool2d(torch.relu(F.conv2d(x, w["c3.weight"], w["c3.bias"], padding=1)), 2)
        x = torch.relu(F.linear(x.flatten(1), w["f1.weight"], w["f1.bias"]))
        return F.linear(x, w["f2.weight"], w["f2.bias"])

    x, d = torch.rand(2, 1, 28, 28), torch.tensor([[1.0, -1.0], [0.5, 2.0]])
    y, g = vjp(pneumonia, x, d)
    shared.append({"model": "pneumonia_cnn.onnx", "rows": 2, "input": flat(x), "cotangent": flat(d), "scores": flat(y), "gradient": flat(g)})

made = {"made_by": f"torch {torch.__version__}", "cases": cases, "shared": shared}
(OUT.parent / "gradients.json").write_text(json.dumps(made, separators=(",", ":")) + "\n")
