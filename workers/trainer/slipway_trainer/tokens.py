"""Rows as token ids and labels: the same for every framework, so that one spec learns the same from either."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .errors import TrainError
from .rows import Rows

#: Positions that do not count in the loss (PyTorch's default ignore_index).
IGNORED = -100


@dataclass(frozen=True)
class Tokenized:
    input_ids: list[list[int]]
    labels: list[list[int]]
    truncated: int
    skipped: int


def tokenize_rows(rows: Rows, tokenizer: Any, max_length: int) -> Tokenized:
    """Only answers are learned: questions give context. Rows whose answer lies beyond max_length are skipped."""
    ids: list[list[int]] = []
    labels: list[list[int]] = []
    truncated = skipped = 0
    for row in rows.rows:
        text, spans = _text(rows.format, row, tokenizer)
        encoded = tokenizer(text, add_special_tokens=rows.format == "text", return_offsets_mapping=True)
        row_ids = list(encoded["input_ids"])
        row_labels = [
            token if any(start < last and end > first for first, last in spans) else IGNORED
            for token, (start, end) in zip(row_ids, encoded["offset_mapping"], strict=True)
        ]
        if len(row_ids) > max_length:
            truncated += 1
            row_ids, row_labels = row_ids[:max_length], row_labels[:max_length]
        # The first token is never predicted.
        if all(label == IGNORED for label in row_labels[1:]):
            skipped += 1
            continue
        ids.append(row_ids)
        labels.append(row_labels)
    if not ids:
        raise TrainError(
            "BadDataset",
            f"no row's answer fits into maxSequenceLength {max_length}; raise it or shorten the prompts",
        )
    return Tokenized(ids, labels, truncated, skipped)


def _text(kind: str, row: dict[str, Any], tokenizer: Any) -> tuple[str, list[tuple[int, int]]]:
    """The row as the model sees it, and the spans of characters to learn."""
    if kind == "text":
        text = row["text"] + (tokenizer.eos_token or "")
        return text, [(0, len(text))]
    if kind == "prompt-completion" and isinstance(row["prompt"], str):
        text = row["prompt"] + row["completion"] + (tokenizer.eos_token or "")
        return text, [(len(row["prompt"]), len(text))]
    messages = row["messages"] if kind == "chat" else [*row["prompt"], *row["completion"]]
    first = 0 if kind == "chat" else len(row["prompt"])
    if not tokenizer.chat_template:
        raise TrainError(
            "BadDataset",
            "the rows are chats and the base model has no chat template; use prompt and completion",
        )
    text = _render(tokenizer, messages, prompt=False)
    spans = []
    for i, message in enumerate(messages):
        if message["role"] != "assistant" or i < first:
            continue
        before = _render(tokenizer, messages[:i], prompt=True)
        upto = _render(tokenizer, messages[: i + 1], prompt=False)
        if not (upto.startswith(before) and text.startswith(upto)):
            # A template that rewrites earlier turns: the last answer is still where the prompt ends.
            if i == len(messages) - 1 and text.startswith(before):
                spans.append((len(before), len(text)))
            continue
        spans.append((len(before), len(upto)))
    return text, spans


def _render(tokenizer: Any, messages: list[dict[str, str]], *, prompt: bool) -> str:
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt)
    return str(text)
