"""Random pickles, whole and damaged, and how Python's pickletools takes them apart. One JSON object a line:
bytes in hexadecimal, [position, opcode] pairs, and whether STOP was reached. Nothing is unpickled."""

import collections
import datetime
import io
import json
import pickle
import pickletools
import random
import sys

rng = random.Random(int(sys.argv[1]))
ALL = [op.code.encode("latin-1") for op in pickletools.opcodes]


def value(depth=0):
    kind = rng.randrange(17 if depth < 4 else 10)
    if kind < 3:
        return rng.choice([0, 1, 255, 256, 65535, 65536, -1, 2**31 - 1, -(2**31), 2**63, -(2**70), 10**400])
    if kind < 5:
        return "".join(chr(rng.choice([65, 10, 92, 39, 0xE9, 0x20AC, 0x1F600, 0xD800])) for _ in range(rng.randrange(8))) * rng.choice([1, 1, 60])
    if kind < 6:
        return bytes(rng.randrange(256) for _ in range(rng.choice([0, 3, 300])))
    if kind < 7:
        return rng.choice([None, True, False, ..., 1.5, -0.0, 1e308, 2j])
    if kind < 8:
        return datetime.datetime(2020, 1, 2, tzinfo=datetime.timezone.utc)
    if kind < 9:
        return rng.choice([len, dict, OSError("x"), collections.Counter("ab"), bytearray(b"xyz")])
    if kind < 10:
        return "s" * rng.choice([1, 255, 256, 70000])
    items = [value(depth + 1) for _ in range(rng.randrange(5))]
    if kind < 12:
        return items * rng.choice([1, 2])
    if kind < 14:
        return tuple(items)
    if kind < 16:
        return {i: v for i, v in enumerate(items)}
    return {i for i in range(len(items))}


def opcodes(data):
    out, whole = [], False
    try:
        for op, _, at in pickletools.genops(io.BytesIO(data)):
            out.append([at, ord(op.code)])
            whole = op.code == "."
    except Exception:
        pass
    return out, whole


def damaged(data):
    data = bytearray(data)
    for _ in range(rng.randrange(1, 5)):
        how = rng.randrange(5)
        at = rng.randrange(len(data) + 1)
        if how == 0 and at < len(data):
            data[at] = rng.randrange(256)
        elif how == 1:
            del data[at : at + rng.randrange(1, 9)]
        elif how == 2:
            data[at:at] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 5)))
        elif how == 3:
            data[at:at] = rng.choice(ALL)
        else:
            data = data[: at + 1]
        if not data:
            data = bytearray(b"N")
    return bytes(data)


for _ in range(int(sys.argv[2])):
    data = pickle.dumps(value(), protocol=rng.randrange(6))
    for variant in (data, damaged(data), damaged(data), b"".join(rng.choice(ALL) + bytes(rng.randrange(4)) for _ in range(30))):
        if len(variant) < 100_000:
            out, whole = opcodes(variant)
            print(json.dumps({"bytes": variant.hex(), "opcodes": out, "whole": whole}))
