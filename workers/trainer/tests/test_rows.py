from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from slipway_trainer.errors import TrainError
from slipway_trainer.rows import MAX_LINE_BYTES, read_rows

ANSWER = {"role": "assistant", "content": "b"}
CHAT = {"messages": [{"role": "user", "content": "a"}, ANSWER]}
PAIR = {"prompt": "a", "chosen": "b", "rejected": "c"}


def write(folder: Path, *lines: Any) -> Path:
    path = folder / "train.jsonl"
    path.write_bytes(
        b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines)
    )
    return path


@pytest.mark.parametrize(
    ("method", "row", "format"),
    [
        ("sft", CHAT, "chat"),
        ("sft", {"prompt": "a", "completion": "b", "id": 1}, "prompt-completion"),
        ("sft", {"prompt": [CHAT["messages"][0]], "completion": [ANSWER]}, "prompt-completion"),
        ("sft", {"text": "a"}, "text"),
        ("dpo", PAIR, "preference"),
        ("dpo", {name: [ANSWER] for name in PAIR}, "preference"),
    ],
)
def test_the_format_is_told_by_the_columns(tmp_path: Path, method: str, row: Any, format: str) -> None:
    rows = read_rows(write(tmp_path, row, b"  ", row), method)
    assert rows.format == format and len(rows.rows) == 2
    assert rows.rows[0] == {name: row[name] for name in rows.rows[0]}


@pytest.mark.parametrize(
    ("method", "second", "told"),
    [
        ("sft", b"{", "row 2 is not JSON"),
        ("sft", b'"\xff"', "row 2 is not UTF-8"),
        ("sft", 5, "row 2 is not an object but int"),
        ("sft", {"text": "x"}, "row 2, column messages is missing; the rows before it are chat rows"),
        ("sft", {"messages": "x"}, "row 2, column messages is not a list of messages but str"),
        ("sft", {"messages": []}, "row 2, column messages is not a list"),
        ("sft", {"messages": [{"role": "robot", "content": "x"}]}, 'row 2, column messages[0].role is "robot"'),
        ("sft", {"messages": [{"role": "user", "content": 5}]}, "row 2, column messages[0].content is not text"),
        ("sft", {"messages": CHAT["messages"][:1]}, "row 2, column messages does not end with an answer"),
        ("sft", b"[" * 100_000, "row 2 is not JSON"),
        ("dpo", {**PAIR, "rejected": [ANSWER]}, "row 2, column chosen mixes text and messages"),
        ("dpo", {**PAIR, "rejected": ""}, "row 2, column rejected is empty"),
    ],
)
def test_a_bad_row_is_named_by_file_row_and_column(tmp_path: Path, method: str, second: Any, told: str) -> None:
    with pytest.raises(TrainError) as caught:
        read_rows(write(tmp_path, CHAT if method == "sft" else PAIR, second), method)
    assert caught.value.code == "BadDataset" and f"train.jsonl, {told}" in caught.value.message


@pytest.mark.parametrize(
    ("method", "row", "told"),
    [
        ("dpo", CHAT, "has no columns chosen and rejected"),
        ("sft", PAIR, "has columns chosen, prompt, rejected; method sft needs"),
        ("sft", {"prompt": "a", "completion": "b", "label": False}, "column label makes this a KTO row"),
        ("sft", {}, "has columns none"),
    ],
)
def test_rows_that_do_not_fit_the_method_are_refused(tmp_path: Path, method: str, row: Any, told: str) -> None:
    with pytest.raises(TrainError, match=told):
        read_rows(write(tmp_path, row), method)


def test_no_file_no_rows_and_an_endless_line(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match=r"no file train\.jsonl"):
        read_rows(tmp_path / "train.jsonl", "sft")
    with pytest.raises(TrainError, match="holds no rows"):
        read_rows(write(tmp_path), "sft")
    with pytest.raises(TrainError, match="row 1 is longer than 16 MiB"):
        read_rows(write(tmp_path, b"x" * (MAX_LINE_BYTES + 1)), "sft")
