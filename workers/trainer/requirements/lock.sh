#!/bin/sh
# Writes the lock files. torch.txt leaves out what only a GPU needs (see cpu_only.py); torch-cuda.txt has it.
set -eu
cd "$(dirname "$0")"
compile() { uv pip compile --quiet --no-header --no-annotate --generate-hashes --python-version 3.11 --python-platform x86_64-manylinux_2_28 "$@"; }
compile torch.in -o torch-cuda.txt
without=$(grep -oE '^(nvidia-[a-z0-9-]+|cuda-[a-z-]+|triton)==' torch-cuda.txt | sed 's/==$//; s/^/--no-emit-package /')
# shellcheck disable=SC2086
compile torch.in $without -o torch.txt
# tensorflow-text asks for tensorflow, which is tensorflow-cpu with 400 MB of GPU code.
compile tensorflow.in --no-emit-package tensorflow --no-emit-package libclang -o tensorflow.txt
compile dev.in -o dev.txt
compile mlflow.in -o mlflow.txt
