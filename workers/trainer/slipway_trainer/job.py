"""One training from spec to published artifact."""

from __future__ import annotations

import importlib
import json
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, cast

from . import artifact, base_model
from .backend import Backend, Task
from .checkpoints import Checkpoints
from .controller import Controller, canonical_json
from .errors import TrainError
from .progress import Progress
from .rows import Rows, read_rows
from .selection import Selection
from .spec import Spec


@dataclass(frozen=True)
class Places:
    #: Scratch and checkpoints.
    work: Path
    #: Trained files.
    output: Path
    #: Rows as local files; None when they come from the controller.
    dataset: Path | None


class Stop:
    """SIGTERM while training: finish the step, keep a checkpoint. Before and after it: end at once."""

    def __init__(self) -> None:
        self.requested = False
        self.training = False

    def install(self) -> None:
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        if not self.training:
            raise TrainError("Cancelled", "asked to stop before a step was made")


def run(
    spec: Spec,
    controller: Controller | None,
    places: Places,
    stop: Stop,
    send: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
    """The result to report. @raises TrainError"""
    base_model.offline_unless_hub(spec.base_model)
    progress = Progress(send)
    progress.say("ReadingDataset")
    folder, dataset = _dataset(spec, controller, places)
    train = read_rows(folder / f"{spec.dataset.split}.jsonl", spec.method)
    validation = _validation(spec, folder)
    progress.say("ReadingBaseModel")
    base = base_model.locate(spec.base_model, controller, places.work)
    local = base_model.as_safetensors(base, places.work)
    kind = "adapter" if spec.adapter else "model"
    metadata = {
        "base": {"source": spec.base_model.source, "resolved": base.resolved},
        "dataset": dataset,
        "framework": spec.framework,
        "identity": spec.identity,
        "method": spec.method,
    }
    scratch = places.work / "scratch"
    selection = Selection(spec, controller, metadata, scratch, progress) if spec.selection else None
    checkpoints = Checkpoints(spec, controller, places.work / "checkpoints", scratch, progress, selection)
    resume = checkpoints.find()
    trained = places.output / "model"
    shutil.rmtree(trained, ignore_errors=True)
    trained.mkdir(parents=True)
    backend = cast(Backend, importlib.import_module(f".{spec.framework}_backend", __package__).train)
    progress.say("LoadingModel")
    stop.training = True
    metrics = backend(
        Task(
            spec=spec,
            base=local,
            base_name=base.name,
            train=train,
            validation=validation,
            output=trained,
            checkpoints=places.work / "checkpoints",
            resume=resume,
            progress=progress,
            stopping=lambda: stop.requested,
            saved=checkpoints.saved,
            selection=selection,
        )
    )
    stop.training = False
    progress.say("Publishing")
    published = selection.best() if selection else _publish(controller, trained, kind, metadata, scratch)
    metrics = {**metrics, "firstLoss": progress.first_loss or 0.0, "lastLoss": progress.last_loss or 0.0}
    result: dict[str, Any] = {
        "artifact": {"digest": published["digest"], "type": kind, "bytes": published["bytes"]},
        "base": metadata["base"],
        "metrics": {name: round(value, 6) for name, value in metrics.items()},
        "steps": progress.step,
        "lossHistory": [list(point) for point in progress.history.points],
        "checkpoints": checkpoints.stored,
        "candidates": selection.candidates if selection else [],
        "resumedFrom": None if resume is None else resume.name,
    }
    if controller is None:
        (places.output / "manifest.json").write_text(published["manifest"], "utf-8")
    if spec.mlflow is not None:
        from .mlflow_registry import register

        progress.say("Registering")
        result["mlflow"] = register(spec, result)
    return result


def _publish(
    controller: Controller | None, folder: Path, kind: str, metadata: dict[str, Any], scratch: Path
) -> dict[str, Any]:
    digest, manifest = artifact.publish(controller, folder, kind, metadata, scratch)
    size = sum(file["bytes"] for file in manifest["files"])
    return {"digest": digest, "bytes": size, "manifest": canonical_json(manifest)}


def _dataset(spec: Spec, controller: Controller | None, places: Places) -> tuple[Path, str]:
    """(folder with the splits' files, digest or name of the dataset)"""
    if places.dataset is not None:
        return places.dataset, spec.dataset.digest or "local"
    if controller is None or spec.dataset.digest is None:
        raise TrainError("BadSpec", "dataset.digest and SLIPWAY_URL, or --dataset, say where the rows are")
    wanted = {f"{split}.jsonl" for split in (spec.dataset.split, spec.dataset.validation_split) if split}
    folder = places.work / "dataset"
    manifest = artifact.fetch(controller, spec.dataset.digest, folder, wanted)
    missing = sorted(wanted - {file["path"] for file in manifest["files"]})
    if missing:
        splits = ", ".join(file["path"] for file in manifest["files"] if file["path"].endswith(".jsonl"))
        raise TrainError("BadDataset", f"the dataset has no {missing[0]}; it has {splits or 'no rows'}")
    return folder, spec.dataset.digest


def _validation(spec: Spec, folder: Path) -> Rows | None:
    split = spec.dataset.validation_split
    return None if split is None else read_rows(folder / f"{split}.jsonl", spec.method)


def write_result(output: Path, body: dict[str, Any]) -> None:
    output.mkdir(parents=True, exist_ok=True)
    (output / "result.json").write_text(json.dumps(body, indent=2, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")
