#!/usr/bin/env python3
"""CPU seconds and peak memory of `asepsis scan` and `sign` beside peers, in one run, on files made here.

    scripts/bench_scan.py PROGRAM [FOLDER]

PROGRAM is a release build of asepsis. FOLDER (default: a temporary one, removed afterwards) needs 2.2 GiB. Peers are run when they are
there: `picklescan` on PATH or named by PICKLESCAN, `openssl`. Needs GNU time (Debian package `time`). Figures are medians of three; CPU is user and system time of all threads.
"""

import io
import json
import os
import pickle
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile

GIB = 1 << 30


def small_pickles(folder, count=500):
    """Ordinary pickles of about 4 KB: dictionaries as libraries save them."""
    os.makedirs(folder, exist_ok=True)
    rng = random.Random(1)
    for n in range(count):
        value = {"coef": [rng.random() for _ in range(400)], "names": [f"feature {i}" for i in range(20)], "n": n}
        with open(os.path.join(folder, f"{n}.pkl"), "wb") as f:
            f.write(pickle.dumps(value, protocol=4))


def safetensors(path):
    tensor = 64 << 20
    header, at = {}, 0
    for n in range(16):
        header[f"layer.{n}.weight"] = {"dtype": "F32", "shape": [tensor // 4], "data_offsets": [at, at + tensor]}
        at += tensor
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    block = random.Random(2).randbytes(1 << 20)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for _ in range(at >> 20):
            f.write(block)


def torch_zip(path):
    """A state dict of 16 tensors as torch.save lays it out, without needing torch: the pickle is written by opcode."""
    out = io.BytesIO()
    out.write(b"\x80\x02}q\x00(")
    for n in range(16):
        name, key = f"layer.{n}.weight".encode(), str(n).encode()
        elements = (64 << 20) // 4
        text = lambda s: b"X" + struct.pack("<I", len(s)) + s
        out.write(text(name) + b"ctorch._utils\n_rebuild_tensor_v2\n((")
        out.write(text(b"storage") + b"ctorch\nFloatStorage\n" + text(key) + text(b"cpu") + b"J" + struct.pack("<i", elements))
        out.write(b"tQK\x00J" + struct.pack("<i", elements) + b"\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR")
    out.write(b"u.")
    block = random.Random(3).randbytes(1 << 20)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as z:
        z.writestr("archive/data.pkl", out.getvalue())
        z.writestr("archive/version", "3\n")
        for n in range(16):
            with z.open(zipfile.ZipInfo(f"archive/data/{n}"), "w", force_zip64=True) as f:
                for _ in range(64):
                    f.write(block)


def run(command, times=3):
    """Median CPU seconds, and the largest peak memory in MiB. Measured by GNU time: a child of this interpreter would
    count the interpreter's own memory as its peak."""
    cpu, peak, code = [], 0, 0
    for _ in range(times):
        with tempfile.NamedTemporaryFile("r") as figures:
            done = subprocess.run(
                ["/usr/bin/time", "-o", figures.name, "-f", "%U %S %M", *command],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            user, system, kib = figures.read().strip().splitlines()[-1].split()
        cpu.append(float(user) + float(system))
        peak = max(peak, int(kib) / 1024)
        code = done.returncode
    return sorted(cpu)[len(cpu) // 2], peak, code


def main():
    program = os.path.abspath(sys.argv[1])
    folder = sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp(prefix="bench-scan-")
    try:
        make(folder)
        measure(program, folder)
    finally:
        if len(sys.argv) <= 2:
            shutil.rmtree(folder)


def make(folder):
    small_pickles(os.path.join(folder, "p500"))
    for name, maker in [("1g.safetensors", safetensors), ("1g.pt", torch_zip)]:
        path = os.path.join(folder, name)
        if not os.path.exists(path):
            maker(path)


def measure(program, folder):
    peer = os.environ.get("PICKLESCAN") or shutil.which("picklescan")
    scan = lambda *what: [program, "scan", "--no-cache", "--threads", "1", *what]
    at = lambda name: os.path.join(folder, name)
    cases = [
        ("one pickle of 4 KB", scan(at("p500/0.pkl")), peer and [peer, "-p", at("p500/0.pkl")]),
        ("500 pickles of 4 KB", scan(at("p500")), peer and [peer, "-p", at("p500")]),
        ("1 GiB safetensors, scanned and hashed", scan(at("1g.safetensors")), peer and [peer, "-p", at("1g.safetensors")]),
        ("1 GiB torch zip, scanned and hashed", scan(at("1g.pt")), peer and [peer, "-p", at("1g.pt")]),
        ("openssl dgst -sha256 of 1 GiB", ["openssl", "dgst", "-sha256", at("1g.pt")], None),
    ]
    print(f"{'case':<42} {'CPU s':>8} {'peak MiB':>9} {'exit':>5}   picklescan CPU s, MiB")
    for name, command, other in cases:
        cpu, peak, code = run(command)
        beside = "" if not other else "{:.3f} {:.1f}".format(*run(other)[:2])
        print(f"{name:<42} {cpu:>8.3f} {peak:>9.1f} {code:>5}   {beside}")


if __name__ == "__main__":
    main()
