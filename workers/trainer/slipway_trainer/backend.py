"""What a framework's trainer gets and gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from .progress import Progress
from .rows import Rows
from .selection import Answer, Selection
from .spec import Spec


@dataclass(frozen=True)
class Task:
    spec: Spec
    #: Hugging Face layout, safetensors.
    base: Path
    #: The base's name for adapter_config.json.
    base_name: str
    train: Rows
    validation: Rows | None
    #: Where the trained files go.
    output: Path
    #: Checkpoints go here, one folder each.
    checkpoints: Path
    #: A checkpoint to go on from.
    resume: Path | None
    progress: Progress
    #: Whether to stop at the next step.
    stopping: Callable[[], bool]
    #: Told after a checkpoint was written; its files, by now stored.
    saved: Callable[[Path, int], list[dict[str, Any]]]
    #: Lets checkpoints answer.
    selection: Selection | None = None

    def judge(self, step: int, last: int, files: list[dict[str, Any]], answer: Answer) -> None:
        """Lets a checkpoint answer that is to; `files` are its stored ones."""
        # A pod that was asked to stop has no time; the next one lets this checkpoint answer.
        if self.selection is None or self.stopping() or not self.selection.wants(step, last):
            return
        self.selection.judge(step, files, answer)


class Backend(Protocol):
    def __call__(self, task: Task) -> dict[str, float]:
        """Trains, writes the output, and answers metrics."""
