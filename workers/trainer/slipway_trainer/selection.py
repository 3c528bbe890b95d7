"""The best checkpoint by an EvalSuite: each one answers the suite's cases, and the controller grades the answers.

The right answers and the graders stay with the controller: the pod knows the questions alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from .artifact import publish_manifest
from .controller import Controller, canonical_json
from .errors import TrainError
from .progress import Progress
from .spec import Spec

Chat = list[dict[str, str]]
#: Answers of the model as it is now, one for each chat: with so many tokens at most, up to the first of those texts.
Answer = Callable[[list[Chat], int, tuple[str, ...]], list[str]]

#: Candidates that a report names: the best so far and the latest ones.
KEPT = 20
#: What only a training that goes on needs; it lies beside the model.
_STATE = ("optimizer.*", "scheduler.pt", "scaler.pt", "rng_state*.pth", "trainer_state.json")


def check_template(spec: Spec, tokenizer: Any) -> None:
    """Before anything is trained. @raises TrainError BadSpec"""
    if spec.selection and not tokenizer.chat_template:
        raise TrainError("BadSpec", "selection asks in chats, and the base model has no chat template")


class Selection:
    """Candidates by step: {step, digest, bytes, answers, passRate, score, loss?}."""

    def __init__(
        self, spec: Spec, controller: Controller | None, metadata: dict[str, Any], scratch: Path, progress: Progress
    ) -> None:
        assert spec.selection is not None  # noqa: S101
        if controller is None:
            raise TrainError("BadSpec", "selection needs the controller, which grades the answers (SLIPWAY_URL)")
        self._kind = "adapter" if spec.adapter else "model"
        self._controller = controller
        self._metadata = metadata
        self._scratch = scratch
        self._progress = progress
        self._max_tokens = spec.selection.max_tokens
        self._stop = spec.selection.stop
        self._every = spec.hyperparameters.save_steps
        lines = controller.read(spec.selection.cases).decode("utf-8").splitlines()
        self._cases = [json.loads(line) for line in lines]
        self.candidates: list[dict[str, Any]] = []

    def restore(self, candidates: list[dict[str, Any]]) -> None:
        """What an earlier pod has judged is not judged again."""
        for candidate in candidates:
            self._keep(candidate)

    def wants(self, step: int, last: int) -> bool:
        """Whether a checkpoint of this step is a candidate without a verdict. One that a pod wrote because it was asked
        to stop is none, so that an interruption does not change what is chosen from."""
        regular = step == last or (self._every is not None and step % self._every == 0)
        return regular and all(known["step"] != step for known in self.candidates)

    def judge(self, step: int, files: list[dict[str, Any]], answer: Answer) -> None:
        """@param files of the checkpoint, stored already"""
        self._progress.say("Answering")
        texts = answer([case["messages"] for case in self._cases], self._max_tokens, self._stop)
        answers = {case["id"]: text for case, text in zip(self._cases, texts, strict=True)}
        stored = self._controller.upload_bytes(
            canonical_json({"answers": answers}).encode("utf-8", "replace"), self._scratch, "answers.json"
        )
        model = [file for file in files if not any(fnmatch(file["path"], state) for state in _STATE)]
        manifest = {"version": 1, "type": self._kind, "files": model, "metadata": {**self._metadata, "step": step}}
        loss = self._progress.last_loss
        self._keep(
            {
                "step": step,
                "digest": publish_manifest(self._controller, manifest, self._scratch),
                "bytes": sum(file["bytes"] for file in model),
                "answers": stored["digest"],
                **self._controller.grade(stored["digest"]),
                **({} if loss is None else {"loss": round(loss, 6)}),
            }
        )
        self._progress.say("Training")

    def best(self) -> dict[str, Any]:
        """The most cases passed, then the higher mean score, then the fewer steps. The controller checks this."""
        return max(self.candidates, key=lambda one: (one["passRate"], one["score"], -one["step"]))

    def _keep(self, candidate: dict[str, Any]) -> None:
        others = [known for known in self.candidates if known["step"] != candidate["step"]]
        self.candidates = sorted([*others, candidate], key=lambda known: int(known["step"]))
        if len(self.candidates) > KEPT:
            best = self.best()
            self.candidates.remove(next(known for known in self.candidates if known is not best))
        self._progress.candidates = self.candidates
