"""Inverted sign-flip in numpy: float64 differences on stdin, JSON on stdout. The best of the runs of each way."""

import json
import sys
import time

import numpy as np

resamples, runs = int(sys.argv[1]), int(sys.argv[2])
d = np.frombuffer(sys.stdin.buffer.read(), np.float64)
n, block = len(d), 250


def limits(sums, counts):
    return np.quantile(sums / counts, [0.05, 0.95])


def by_bits(rng):
    """Random bits unpacked to 0/1 and multiplied through BLAS, in single precision (the faster one)."""
    columns = np.stack([d, np.ones(n)], axis=1).astype(np.float32)
    out = []
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        packed = np.frombuffer(rng.bytes(rows * ((n + 7) // 8)), np.uint8).reshape(rows, -1)
        out.append(np.unpackbits(packed, axis=1, count=n).astype(np.float32) @ columns)
    out = np.concatenate(out)
    return limits(out[:, 0], out[:, 1])


def by_bytes(rng):
    """The table method of the code under test: 256 sums of each eight cases, looked up by random bytes."""
    groups = np.zeros(-(-n // 8) * 8)
    groups[:n] = d
    bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.float64)
    tables = bits @ groups.reshape(-1, 8).T
    counts_of = bits.sum(axis=1)
    sums, counts = np.zeros(resamples), np.zeros(resamples)
    for group in range(tables.shape[1]):
        chosen = np.frombuffer(rng.bytes(resamples), np.uint8)
        sums += tables[:, group][chosen]
        counts += counts_of[chosen]
    return limits(sums, counts)


seconds, result = {}, None
for way in (by_bits, by_bytes):
    times = []
    for run in range(runs if way is by_bytes else 1):
        start = time.perf_counter()
        result = way(np.random.default_rng(run))
        times.append(time.perf_counter() - start)
    seconds[way.__name__] = min(times)
print(json.dumps({"seconds": seconds, "lower": result[0], "upper": result[1], "numpy": np.__version__}))
