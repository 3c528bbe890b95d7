"""How far a training is: percent, time left, and a loss history that stays small however long it runs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from .errors import TrainError

HISTORY_POINTS = 200
#: Reports are for people and for waking the controller; more often helps neither.
REPORT_SECONDS = 2.0


class LossHistory:
    """At most 200 (step, loss) points, evenly spread: when full, every second one goes and the stride doubles."""

    def __init__(self, points: list[tuple[int, float]] | None = None, stride: int = 1) -> None:
        self.points: list[tuple[int, float]] = points or []
        self._stride = stride
        self._count = len(self.points) * stride

    def add(self, step: int, loss: float) -> None:
        if self._count % self._stride == 0:
            self.points.append((step, round(loss, 6)))
            if len(self.points) >= HISTORY_POINTS:
                self.points = self.points[::2]
                self._stride *= 2
        self._count += 1


class Progress:
    """Collects steps, sends a report now and then, and stops a training whose loss is no number."""

    def __init__(
        self,
        send: Callable[[dict[str, Any]], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._send = send
        self._clock = clock
        self._started: tuple[float, int] | None = None
        self._sent = -math.inf
        self.history = LossHistory()
        self.first_loss: float | None = None
        self.last_loss: float | None = None
        self.step = 0
        self.total = 0
        self.checkpoint: dict[str, Any] | None = None
        self.candidates: list[dict[str, Any]] = []
        self.phase = "Starting"

    def begin(self, total: int, step: int = 0) -> None:
        """Training starts at `step` of `total`, above 0 after a resume."""
        self.total, self.step = total, step
        self._started = (self._clock(), step)
        self.say("Training")

    def resumed(self, step: int, loss: float) -> None:
        """A step that an earlier pod took."""
        self.first_loss = loss if self.first_loss is None else self.first_loss
        self.last_loss = loss
        self.history.add(step, loss)

    def at(self, step: int, loss: float | None) -> None:
        self.step = step
        if loss is not None:
            if not math.isfinite(loss):
                raise TrainError(
                    "NonFiniteLoss",
                    f"the loss became {loss} at step {step} of {self.total}; lower learningRate, raise warmup, or look "
                    "for rows with extreme values",
                )
            self.first_loss = loss if self.first_loss is None else self.first_loss
            self.last_loss = loss
            self.history.add(step, loss)
        if self._clock() - self._sent >= REPORT_SECONDS or step >= self.total:
            self.flush()

    def say(self, phase: str) -> None:
        self.phase = phase
        self.flush()

    def flush(self) -> None:
        self._sent = self._clock()
        self._send(self.view())

    def view(self) -> dict[str, Any]:
        view: dict[str, Any] = {"phase": self.phase, "step": self.step, "totalSteps": self.total}
        # 100 is for a published artifact alone.
        view["percent"] = min(99, math.floor(100 * self.step / self.total)) if self.total else 0
        if self._started and self.step > self._started[1] and self.step < self.total:
            started, first = self._started
            pace = (self._clock() - started) / (self.step - first)
            view["etaSeconds"] = round(pace * (self.total - self.step))
        if self.last_loss is not None:
            view["loss"] = round(self.last_loss, 6)
            view["lossHistory"] = [list(point) for point in self.history.points]
        if self.checkpoint is not None:
            view["checkpoint"] = self.checkpoint
        if self.candidates:
            view["candidates"] = self.candidates
        return view
