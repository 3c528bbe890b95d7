"""Texts that end an answer."""

from __future__ import annotations


def until(text: str, stop: tuple[str, ...]) -> str:
    """The text before the first of them."""
    ends = [text.find(end) for end in stop if end in text]
    return text[: min(ends)] if ends else text
