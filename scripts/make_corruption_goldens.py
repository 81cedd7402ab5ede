#!/usr/bin/env python3
"""Figures that crates/attack/tests/corruptions.rs compares with, made by medmnistc 0.1.0 (Pillow, torchvision, scikit-image).

Usage: make_corruption_goldens.py [--xrays pneumoniamnist.npz] [--every OUT.npz] > crates/attack/tests/goldens/corruptions.json

Deterministic families: a digest of the corrupted pixels of drawn pictures (and of the X-rays, when given). Families of
noise: mean, deviation and share of black and white of many draws, for some grey levels. `--every` keeps all corrupted
X-rays, for a comparison by eye. Needs: medmnistc==0.1.0 torch torchvision scikit-image pillow numpy.
"""
import argparse
import json
import sys

import numpy as np
import PIL
import skimage
import torchvision
from medmnistc.corruptions.registry import CORRUPTIONS_DS
from PIL import Image, features

NOISE = ("gaussian_noise", "speckle_noise", "impulse_noise", "shot_noise")
LEVELS = (0, 1, 16, 64, 128, 200, 250, 255)
DRAWS = 500_000


def drawn(height, width, channels, kind):
    """A picture by formula, so that the test draws the same one."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(channels), indexing="ij")
    if kind == "smooth":
        values = (x * 180) // max(width - 1, 1) + (y * 60) // max(height - 1, 1) + 5 * c
    else:
        values = (7 * x * x + 3 * y * y + 11 * x * y + 31 * c * (x + 2 * y) + 17 * c) % 256
    values = values.astype(np.uint8)
    return values[:, :, 0] if channels == 1 else values


def digest(arrays):
    """FNV-1a, 64 bits, over the pixels, rows first, then channels last."""
    h = 0xCBF29CE484222325
    for b in b"".join(np.ascontiguousarray(a).tobytes() for a in arrays):
        h = ((h ^ b) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{h:016x}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--xrays")
    parser.add_argument("--every")
    args = parser.parse_args()
    families = CORRUPTIONS_DS["pneumoniamnist"]
    families["impulse_noise"].rng = np.random.default_rng(1)
    np.random.seed(1)

    pictures = {}
    for name, shape in {
        "grey smooth 28x28": (28, 28, 1, "smooth"),
        "grey coarse 28x28": (28, 28, 1, "coarse"),
        "grey coarse 21x33": (21, 33, 1, "coarse"),
        "colour smooth 28x28": (28, 28, 3, "smooth"),
        "colour coarse 28x28": (28, 28, 3, "coarse"),
        "colour smooth 21x33": (21, 33, 3, "smooth"),
        "colour coarse 64x50": (64, 50, 3, "coarse"),
    }.items():
        pictures[name] = drawn(*shape)

    out = {
        "made_by": {
            "medmnistc": "0.1.0", "pillow": PIL.__version__, "libjpeg_turbo": features.version("libjpeg_turbo"),
            "torchvision": torchvision.__version__.split("+")[0], "scikit-image": skimage.__version__,
            "numpy": np.__version__,
        },
        "exact": [], "blurred": [], "noise": [], "xrays": [],
    }
    for family, corruption in families.items():
        for severity in range(5):
            if family in NOISE:
                for level in LEVELS:
                    picture = Image.fromarray(np.full((500, DRAWS // 500), level, np.uint8))
                    seen = corruption.apply(picture, severity).astype(np.float64)
                    out["noise"].append({
                        "family": family, "severity": severity + 1, "level": level, "draws": DRAWS,
                        "mean": round(float(seen.mean()), 6), "deviation": round(float(seen.std()), 6),
                        "black": round(float((seen == 0).mean()), 6), "white": round(float((seen == 255).mean()), 6),
                    })
                continue
            for name, picture in pictures.items():
                seen = corruption.apply(Image.fromarray(picture), severity)
                cell = {"family": family, "severity": severity + 1, "picture": name}
                if family == "gaussian_blur":
                    cell["middle_row"] = seen[seen.shape[0] // 2].reshape(-1).tolist()
                    out["blurred"].append(cell)
                else:
                    cell["digest"] = digest([seen])
                    out["exact"].append(cell)
    if args.xrays:
        images = np.load(args.xrays)["test_images"]
        kept = {}
        for family, corruption in families.items():
            for severity in range(5):
                seen = np.stack([corruption.apply(Image.fromarray(i), severity) for i in images])
                kept[f"{family}.{severity + 1}"] = seen
                if family not in NOISE:
                    out["xrays"].append({
                        "family": family, "severity": severity + 1, "images": len(images),
                        "sum": int(seen.astype(np.int64).sum()), "digest": digest([seen]),
                    })
        if args.every:
            np.savez(args.every, **kept)
    rows = lambda cells: ",\n".join("  " + json.dumps(c) for c in cells)
    lists = ",\n".join(f' "{k}": [\n{rows(v)}\n ]' for k, v in out.items() if k != "made_by")
    sys.stdout.write(f'{{\n "made_by": {json.dumps(out["made_by"])},\n{lists}\n}}\n')


if __name__ == "__main__":
    main()
