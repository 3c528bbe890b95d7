"""Keras answers with an adapter what Transformers does, when $SLIPWAY_TRAIN_TENSORFLOW names an environment."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from . import tiny
from .answers import answers
from .equal_logits import ROOT
from .test_logits import LLAMA3, pytestmark, random_adapter

__all__ = ["pytestmark"]
#: More than caches have room for at first.
MAX_TOKENS = 300
#: More than one batch, and prompts from a few tokens to many.
CHATS = [[{"role": "user", "content": "What? " * (i * i % 29) + str(i)}] for i in range(20)]
#: Rows of all lengths beside each other, and each one alone.
BATCHES = [16, 1]


def in_keras(folder: Path, base: Path, adapter: Path, stop: tuple[str, ...]) -> list[list[str]]:
    asked, output = folder / "asked.json", folder / "said.json"
    asked.write_text(json.dumps({"chats": CHATS, "maxTokens": MAX_TOKENS, "stop": stop, "batches": BATCHES}))
    python = str(Path(os.environ["SLIPWAY_TRAIN_TENSORFLOW"], "bin", "python"))
    command = [python, "-m", "tests.keras_answers", *map(str, (base, adapter, asked, output))]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}, check=True)
    return list(json.loads(output.read_text()))


@pytest.mark.parametrize(
    ("config", "generation", "stop"),
    [
        ({}, {"eos_token_id": [45, 173]}, ()),
        # Several tokens that end an answer, a text of two tokens, and one that all special tokens have.
        ({"eos_token_id": [0, 45, 173, 232], "rope_theta": 500.0, "rope_scaling": LLAMA3}, None, ("-b", "|>")),
    ],
)
def test_keras_answers_what_transformers_answers(
    config: dict[str, Any],
    generation: dict[str, Any] | None,
    stop: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A model of random weights has to have many special tokens to say one.
    monkeypatch.setattr(tiny, "SPECIAL", [*tiny.SPECIAL, *(f"<|{i}|>" for i in range(20))])
    base = tiny.make(tmp_path / "base", config=config)
    if generation is not None:
        (base / "generation_config.json").write_text(json.dumps(generation))
    adapter = random_adapter(base, tmp_path / "adapter")
    said = answers(base, adapter, CHATS, MAX_TOKENS, stop)
    assert len(set(said)) > 15, "answers that are all the same would prove nothing"
    assert in_keras(tmp_path, base, adapter, stop) == [said for _ in BATCHES]
