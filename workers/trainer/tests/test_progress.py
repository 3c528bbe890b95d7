from __future__ import annotations

import itertools
import math
from typing import Any

import pytest

from slipway_trainer.errors import EXIT_STATUS, TrainError, explain
from slipway_trainer.progress import HISTORY_POINTS, LossHistory, Progress


def test_the_history_is_bounded_and_evenly_spread() -> None:
    history = LossHistory()
    for step in range(1, 100_001):
        history.add(step, 1 / step)
    steps = [step for step, _ in history.points]
    assert HISTORY_POINTS / 2 <= len(steps) < HISTORY_POINTS
    assert steps[0] == 1 and steps[-1] > 99_000
    assert len({b - a for a, b in itertools.pairwise(steps)}) == 1


def test_percent_and_time_left_follow_the_steps() -> None:
    sent: list[dict[str, Any]] = []
    now = [0.0]
    progress = Progress(sent.append, lambda: now[0])
    progress.begin(10, 4)
    now[0] = 6
    progress.at(6, 2.5)
    assert sent[-1] == {
        "phase": "Training", "step": 6, "totalSteps": 10, "percent": 60, "etaSeconds": 12, "loss": 2.5,
        "lossHistory": [[6, 2.5]],
    }  # fmt: skip
    progress.at(7, 2.0)
    assert sent[-1]["step"] == 6, "reports within two seconds are left out"
    progress.at(10, 1.0)
    assert sent[-1]["percent"] == 99, "100 is for what is published"


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number_ends_the_training(loss: float) -> None:
    progress = Progress(lambda _: None)
    progress.begin(10)
    with pytest.raises(TrainError) as caught:
        progress.at(3, loss)
    assert caught.value.code == "NonFiniteLoss" and "step 3 of 10" in caught.value.message


def test_memory_errors_are_told_with_what_to_do() -> None:
    class OutOfMemoryError(RuntimeError):
        pass

    for error in (
        MemoryError(),
        OutOfMemoryError("CUDA"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ):
        told = explain(error, batch_size=8)
        assert told.code == "OutOfMemory" and "Lower batchSize (batchSize is 8)" in told.message
    assert explain(KeyError("x")).code == "InternalError"


def test_exit_statuses_differ() -> None:
    assert len(set(EXIT_STATUS.values())) == len(EXIT_STATUS)
