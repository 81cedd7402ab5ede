#!/usr/bin/env python3
"""Scores and input gradients per CPU second with PyTorch, one thread: the peer of crates/runtime/benches/gradient.rs.

Use: VENV/bin/pip install torch numpy && taskset -c 1 VENV/bin/python scripts/bench_gradient.py
Prints `name batch forward_per_s both_per_s` lines for networks of the same shapes (random weights).
"""
import time
import torch
from torch import nn

torch.set_num_threads(1)
torch.manual_seed(0)


def small_cnn():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(3136, 128), nn.ReLU(), nn.Linear(128, 2))


class Block(nn.Module):
    def __init__(self, a, b, stride):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(a, b, 3, stride, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU(),
            nn.Conv2d(b, b, 3, 1, 1, bias=False), nn.BatchNorm2d(b))
        self.skip = nn.Identity() if a == b and stride == 1 else nn.Sequential(
            nn.Conv2d(a, b, 1, stride, bias=False), nn.BatchNorm2d(b))

    def forward(self, x):
        return torch.relu(self.body(x) + self.skip(x))


def resnet18():
    layers = [nn.Conv2d(1, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    for a, b, stride in [(64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1),
                         (128, 256, 2), (256, 256, 1), (256, 512, 2), (512, 512, 1)]:
        layers.append(Block(a, b, stride))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 2))


def best(call):
    for _ in range(2):
        call()
    t = time.process_time()
    call()
    n = max(2, min(10000, int(0.2 / max(time.process_time() - t, 1e-6))))
    rates = []
    for _ in range(5):
        t = time.process_time()
        for _ in range(n):
            call()
        rates.append(n / (time.process_time() - t))
    return max(rates)


def measure(name, net, shape, batches):
    net.eval()
    for p in net.parameters():
        p.requires_grad_(False)
    for b in batches:
        x, d = torch.rand(b, *shape), None

        def forward():
            with torch.no_grad():
                return net(x)

        d = torch.randn_like(forward())

        def both():
            z = x.clone().requires_grad_(True)
            net(z).backward(d)
            return z.grad

        print(name, b, f"{best(forward) * b:.0f}", f"{best(both) * b:.0f}", flush=True)


measure("wdbc_mlp", nn.Sequential(nn.Linear(30, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 2)), (30,), (1, 32, 256))
measure("pneumonia_cnn", small_cnn(), (1, 28, 28), (1, 32, 256))
measure("resnet18", resnet18(), (1, 28, 28), (1, 32))
