"""Why a training ends without a model: a code for programs, a message for people, an exit status for the kubelet."""

from __future__ import annotations

#: Exit status by code. 1 is left to errors nobody foresaw, and 137 is what the kernel's OOM killer makes.
EXIT_STATUS = {
    "BadSpec": 2,
    "UnknownBaseModel": 3,
    "BadDataset": 4,
    "DatasetDigestMismatch": 5,
    "NonFiniteLoss": 6,
    "OutOfMemory": 7,
    "ControllerUnreachable": 8,
    "MLflowUnavailable": 9,
    "HubUnreachable": 10,
    "InternalError": 1,
    "Cancelled": 143,
}

#: What may go well the next time without anybody changing anything.
RETRYABLE = frozenset({"ControllerUnreachable", "HubUnreachable", "MLflowUnavailable", "InternalError", "Cancelled"})


class TrainError(Exception):
    """Ends the training. The message says what happened, where, and what to do, and holds no secret."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        if code not in EXIT_STATUS:
            raise ValueError(f"unknown error code {code}")
        self.code = code
        self.message = message

    @property
    def exit_status(self) -> int:
        return EXIT_STATUS[self.code]


_MEMORY_SIGNS = (
    "out of memory",
    "can't allocate memory",
    "failed to allocate",
    "cannot allocate memory",
    "oom when allocating",
)


def explain(error: BaseException, *, batch_size: int | None = None) -> TrainError:
    """The error as a TrainError, whatever it was."""
    if isinstance(error, TrainError):
        return error
    text = f"{type(error).__name__}: {error}".strip().replace("\n", " ")[:1500]
    memory = isinstance(error, MemoryError) or type(error).__name__ in (
        "OutOfMemoryError",
        "ResourceExhaustedError",
    )
    if memory or any(sign in text.lower() for sign in _MEMORY_SIGNS):
        now = f" (batchSize is {batch_size})" if batch_size else ""
        return TrainError(
            "OutOfMemory",
            f"memory ran out: {text[:300]}. Lower batchSize{now} or maxSequenceLength, raise "
            "gradientAccumulation instead, train an adapter rather than the whole model, or give the Job more memory",
        )
    return TrainError("InternalError", text)
