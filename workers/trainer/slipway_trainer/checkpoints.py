"""Checkpoints outlive their pod: each is stored as an artifact, and a later pod goes on from the last one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .artifact import fetch, publish
from .controller import Controller
from .errors import TrainError
from .progress import Progress
from .spec import Spec

#: Checkpoints that a report names; the controller may let an EvalSuite choose among them.
KEPT = 20


class Checkpoints:
    def __init__(
        self, spec: Spec, controller: Controller | None, folder: Path, scratch: Path, progress: Progress
    ) -> None:
        self._spec = spec
        self._controller = controller
        self._folder = folder
        self._scratch = scratch
        self._progress = progress
        self.stored: list[dict[str, Any]] = []

    def saved(self, folder: Path, step: int) -> None:
        """A checkpoint was written: store it, then tell."""
        metadata = {"checkpoint": True, "identity": self._spec.identity, "step": step}
        kind = "adapter" if self._spec.adapter else "model"
        digest, _ = publish(self._controller, folder, kind, metadata, self._scratch)
        loss = self._progress.last_loss
        entry = {"step": step, "digest": digest, **({} if loss is None else {"loss": round(loss, 6)})}
        self.stored = [*(known for known in self.stored if known["step"] != step), entry][-KEPT:]
        self._progress.checkpoint = entry
        self._progress.flush()

    def find(self) -> Path | None:
        """The furthest checkpoint: in the work folder (a volume that outlived its pod), or one that was reported."""
        local = max(self._local(), default=(0, None), key=lambda found: found[0])
        reported = self._reported()
        if reported is not None and (local[1] is None or local[0] < reported.get("step", 0)):
            return self._download(reported["digest"])
        return local[1]

    def _local(self) -> list[tuple[int, Path]]:
        """Written whole: Transformers writes trainer_state.json after the rest."""
        found = []
        for path in self._folder.glob("checkpoint-*"):
            step = path.name.rpartition("-")[2]
            if step.isdigit() and (path / "trainer_state.json").exists():
                found.append((int(step), path))
        return found

    def _reported(self) -> dict[str, Any] | None:
        if self._controller is None:
            return None
        if self._spec.resume_from:
            return {"digest": self._spec.resume_from, "step": 1 << 62}
        report = self._controller.latest_report() or {}
        entry = (report.get("progress") or {}).get("checkpoint")
        return entry if isinstance(entry, dict) and "digest" in entry else None

    def _download(self, digest: str) -> Path | None:
        assert self._controller is not None  # noqa: S101
        folder = self._folder / "resumed"
        try:
            manifest = fetch(self._controller, digest, folder)
        except TrainError as error:
            # Without it the training is only longer.
            print(f"the checkpoint {digest} cannot be read, starting anew: {error.message}", flush=True)
            return None
        metadata = manifest.get("metadata", {})
        if metadata.get("identity") != self._spec.identity:
            print(f"the checkpoint {digest} belongs to another training, starting anew", flush=True)
            return None
        named = self._folder / f"checkpoint-{metadata['step']}"
        folder.rename(named)
        return named
