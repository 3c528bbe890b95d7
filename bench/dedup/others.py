"""Which rows of a JSONL file have a near-duplicate, by another tool: others.py TOOL FILE THREADS OUT.

Prints seconds, from the file to the flags once all modules are loaded, as one line of JSON. Each tool in the fastest mode that its documentation
has: datasketch with a fast hash function, MinHash.bulk and insertion without pickling, its sketches in as many
processes as there are threads; rensa with its rho batch pipeline.
"""

import json
import multiprocessing
import os
import re
import resource
import sys
import time

import numpy
import xxhash
from datasketch import MinHash, MinHashLSH
from rensa import RMinHash, RMinHashLSH

NUM_PERM = 128
THRESHOLD = 0.7
NGRAM = 5
WORD = re.compile(r"[^\W_]+")


def shingles(line: str) -> list[str]:
    """The n-grams of words, lower case; of fewer words, all of them as one: as the others have them."""
    row = json.loads(line)
    words = WORD.findall(f"{row['prompt']}\n{row['completion']}".lower())
    if len(words) < NGRAM:
        return [" ".join(words)] if words else []
    return [" ".join(words[i : i + NGRAM]) for i in range(len(words) - NGRAM + 1)]


def sketch_bulk(lines: list[str]) -> list[bytes]:
    sets = [[s.encode() for s in shingles(line)] for line in lines]
    made = MinHash.bulk(sets, num_perm=NUM_PERM, hashfunc=xxhash.xxh32_intdigest)
    return [m.hashvalues.tobytes() for m in made]


def run_datasketch(path: str, threads: int) -> bytearray:
    with open(path, encoding="utf-8") as file:
        lines = file.readlines()
    size = 5_000
    parts = [lines[i : i + size] for i in range(0, len(lines), size)]
    with multiprocessing.Pool(threads) as pool:
        values = [value for part in pool.imap(sketch_bulk, parts) for value in part]
    like = MinHash(num_perm=NUM_PERM)
    lsh = MinHashLSH(threshold=THRESHOLD, num_perm=NUM_PERM)
    flags = bytearray(len(lines))
    dtype = like.hashvalues.dtype
    for row, value in enumerate(values):
        like.hashvalues = numpy.frombuffer(value, dtype=dtype)
        found = lsh.query(like)
        for other in found:
            flags[other] = 1
        flags[row] = 1 if found else 0
        lsh.insert(row, like, check_duplication=False)
    return flags


def run_rensa(path: str, threads: int) -> bytearray:
    os.environ["RAYON_NUM_THREADS"] = str(threads)
    with open(path, encoding="utf-8") as file:
        sets = [shingles(line) for line in file]
    matrix = RMinHash.digest_matrix_from_token_sets_rho(sets, num_perm=NUM_PERM, seed=42)
    lsh = RMinHashLSH(threshold=THRESHOLD, num_perm=NUM_PERM, num_bands=16)
    return bytearray(lsh.query_duplicate_flags_matrix_one_shot(matrix))


def main() -> None:
    tool, path, threads, out = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    run = {"datasketch": run_datasketch, "rensa": run_rensa}[tool]
    started = time.perf_counter()
    flags = run(path, threads)
    seconds = time.perf_counter() - started
    with open(out, "wb") as file:
        file.write(flags)
    used = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = sum(u.ru_utime + u.ru_stime for u in used)
    print(json.dumps({"seconds": seconds, "cpu": cpu, "rows": len(flags), "maxRssMiB": used[0].ru_maxrss // 1024}))


if __name__ == "__main__":
    main()
