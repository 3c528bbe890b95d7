"""Training rows: read from JSON Lines, checked, and every complaint names file, row and column."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .errors import TrainError

Format = Literal["chat", "prompt-completion", "text", "preference"]
MAX_LINE_BYTES = 16 << 20
ROLES = ("system", "developer", "user", "assistant", "tool")
COLUMNS: dict[Format, tuple[str, ...]] = {
    "chat": ("messages",),
    "prompt-completion": ("prompt", "completion"),
    "text": ("text",),
    "preference": ("prompt", "chosen", "rejected"),
}


@dataclass(frozen=True)
class Rows:
    format: Format
    rows: list[dict[str, Any]]


def read_rows(path: Path, method: str) -> Rows:
    """@raises TrainError BadDataset"""
    if not path.exists():
        raise TrainError("BadDataset", f"the dataset has no file {path.name}; is the split's name right?")
    found: list[dict[str, Any]] = []
    kind: Format | None = None
    for number, value in _lines(path):
        kind = kind or _format(path, number, value, method)
        found.append(_row(path, number, value, kind))
    if kind is None:
        raise TrainError("BadDataset", f"{path.name} holds no rows")
    return Rows(kind, found)


def _lines(path: Path) -> Iterator[tuple[int, object]]:
    with path.open("rb") as file:
        number = 0
        while line := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(line) > MAX_LINE_BYTES:
                raise _bad(path, number, None, f"is longer than {MAX_LINE_BYTES >> 20} MiB")
            if not line.strip():
                continue
            try:
                yield number, json.loads(line.decode("utf-8"))
            except UnicodeDecodeError as error:
                raise _bad(path, number, None, f"is not UTF-8 (byte {error.start})") from None
            except (ValueError, RecursionError) as error:
                raise _bad(path, number, None, f"is not JSON: {error}") from None


def _bad(path: Path, row: int, column: str | None, why: str) -> TrainError:
    return TrainError("BadDataset", f"{path.name}, row {row}{f', column {column}' if column else ''} {why}")


def _format(path: Path, number: int, value: object, method: str) -> Format:
    if not isinstance(value, dict):
        raise _bad(path, number, None, f"is not an object but {type(value).__name__}")
    columns = set(value)
    if method == "dpo":
        if not {"chosen", "rejected"} <= columns:
            raise _bad(
                path,
                number,
                None,
                f"has no columns chosen and rejected, which method dpo needs; it has {_names(columns)}",
            )
        return "preference"
    if "messages" in columns:
        return "chat"
    if {"prompt", "completion"} <= columns:
        if "label" in columns:
            raise _bad(
                path,
                number,
                "label",
                "makes this a KTO row, which method sft would learn from whatever the label says",
            )
        return "prompt-completion"
    if "text" in columns:
        return "text"
    raise _bad(
        path,
        number,
        None,
        f"has columns {_names(columns)}; method sft needs messages, prompt and completion, or text",
    )


def _names(columns: set[str]) -> str:
    return ", ".join(sorted(columns)[:10]) or "none"


def _row(path: Path, number: int, value: object, kind: Format) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _bad(path, number, None, f"is not an object but {type(value).__name__}")
    row = {}
    for column in COLUMNS[kind]:
        if column not in value:
            raise _bad(path, number, column, f"is missing; the rows before it are {kind} rows")
        content = value[column]
        if isinstance(content, str) and column != "messages":
            if not content and column != "prompt":
                raise _bad(path, number, column, "is empty")
        elif kind == "text":
            raise _bad(path, number, column, "is not text")
        else:
            _messages(path, number, column, content)
        row[column] = content
    shapes = {type(part) for part in row.values()}
    if len(shapes) > 1:
        raise _bad(path, number, COLUMNS[kind][1], "mixes text and messages with the row's other columns")
    if kind == "chat" and row["messages"][-1]["role"] != "assistant":
        raise _bad(path, number, "messages", "does not end with an answer (role assistant)")
    return row


def _messages(path: Path, number: int, column: str, content: object) -> None:
    if not isinstance(content, list) or not content:
        raise _bad(path, number, column, f"is not a list of messages but {type(content).__name__}")
    for i, message in enumerate(content):
        at = f"{column}[{i}]"
        if not isinstance(message, dict):
            raise _bad(path, number, at, f"is not a message but {type(message).__name__}")
        if message.get("role") not in ROLES:
            raise _bad(
                path,
                number,
                f"{at}.role",
                f"is {json.dumps(message.get('role'))[:40]}, not one of {', '.join(ROLES)}",
            )
        if not isinstance(message.get("content"), str):
            raise _bad(path, number, f"{at}.content", "is not text")
