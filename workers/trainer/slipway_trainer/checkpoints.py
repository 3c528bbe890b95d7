"""Checkpoints outlive their pod: each is stored as an artifact, and a later pod goes on from the last one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .artifact import fetch, publish
from .controller import Controller
from .errors import TrainError
from .progress import Progress
from .selection import Selection
from .spec import Spec

#: Checkpoints that a report names.
KEPT = 20


class Checkpoints:
    def __init__(
        self,
        spec: Spec,
        controller: Controller | None,
        folder: Path,
        scratch: Path,
        progress: Progress,
        selection: Selection | None = None,
    ) -> None:
        self._spec = spec
        self._controller = controller
        self._folder = folder
        self._scratch = scratch
        self._progress = progress
        self._selection = selection
        self.stored: list[dict[str, Any]] = []

    def saved(self, folder: Path, step: int) -> list[dict[str, Any]]:
        """A checkpoint was written: store it, then tell. Its files."""
        metadata: dict[str, Any] = {"checkpoint": True, "identity": self._spec.identity, "step": step}
        if self._selection is not None:
            # The next attempt cannot read this one's reports. As text: a manifest holds no fractions.
            metadata["candidates"] = json.dumps(self._selection.candidates)
        kind = "adapter" if self._spec.adapter else "model"
        digest, manifest = publish(self._controller, folder, kind, metadata, self._scratch)
        loss = self._progress.last_loss
        entry = {"step": step, "digest": digest, **({} if loss is None else {"loss": round(loss, 6)})}
        self.stored = [*(known for known in self.stored if known["step"] != step), entry][-KEPT:]
        self._progress.checkpoint = entry
        self._progress.flush()
        return list(manifest["files"])

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
        progress = (self._controller.latest_report() or {}).get("progress") or {}
        if self._selection is not None:
            self._selection.restore(progress.get("candidates") or [])
        entry = progress.get("checkpoint")
        if isinstance(entry, dict) and "digest" in entry:
            return entry
        return {"digest": self._spec.resume_from, "step": 1 << 62} if self._spec.resume_from else None

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
        if self._selection is not None:
            self._selection.restore(json.loads(metadata.get("candidates", "[]")))
        named = self._folder / f"checkpoint-{metadata['step']}"
        folder.rename(named)
        return named
