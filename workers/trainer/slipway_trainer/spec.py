"""What a training is asked to do: the JSON that the controller hands to the pod, read strictly."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from .errors import TrainError

Framework = Literal["torch", "tensorflow"]
Method = Literal["sft", "dpo"]
DIGEST = re.compile(r"^sha256:[0-9a-f]{64}$")


@dataclass(frozen=True)
class Adapter:
    """LoRA: low-rank matrices beside the frozen weights (Hu et al. 2021, arXiv:2106.09685)."""

    type: str = "lora"
    r: int = 8
    alpha: float = 16
    dropout: float = 0.0
    target_modules: tuple[str, ...] = (
        "q_proj",
        "k_proj",
        "v_proj",
        "o_proj",
        "gate_proj",
        "up_proj",
        "down_proj",
    )


@dataclass(frozen=True)
class BaseModel:
    """`hf://org/name@revision`, `artifact:sha256:…`, or a folder on this machine."""

    source: str
    #: Name of the GGUF file when the source holds GGUF.
    file: str | None = None


@dataclass(frozen=True)
class DatasetSpec:
    """Digest of a dataset artifact's manifest, and the splits to use."""

    digest: str | None = None
    split: str = "train"
    validation_split: str | None = None


@dataclass(frozen=True)
class Hyperparameters:
    epochs: float = 1
    #: Overrides epochs.
    max_steps: int | None = None
    batch_size: int = 4
    gradient_accumulation: int = 1
    learning_rate: float = 2e-4
    #: Share of the steps in which the learning rate rises; it then falls linearly to 0.
    warmup: float = 0.0
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    max_sequence_length: int = 1024
    seed: int = 42
    #: Steps between checkpoints; none are kept when absent.
    save_steps: int | None = None
    #: DPO's beta: how far the policy may leave the reference.
    beta: float = 0.1


@dataclass(frozen=True)
class MLflow:
    tracking_uri: str
    experiment: str
    registered_model: str | None = None
    alias: str | None = None
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SelectionSpec:
    """How the best checkpoint is chosen."""

    #: Digest of the questions: JSON Lines of {id, messages}.
    cases: str
    max_tokens: int = 256
    #: Texts that end an answer.
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class Spec:
    framework: Framework
    method: Method
    base_model: BaseModel
    dataset: DatasetSpec
    adapter: Adapter | None
    hyperparameters: Hyperparameters
    mlflow: MLflow | None
    #: Digest of what makes this training what it is: tells its MLflow run and its checkpoints from others.
    identity: str
    #: Manifest of a checkpoint to go on from, when the controller knows one.
    resume_from: str | None
    selection: SelectionSpec | None = None


T = TypeVar("T")
_MISSING = object()


class _Reader:
    """One object of the spec; every member must be asked for, so that a misspelt one is told."""

    def __init__(self, value: object, path: str) -> None:
        if not isinstance(value, dict):
            raise TrainError("BadSpec", f"{path or 'the job spec'} must be an object, not {type(value).__name__}")
        self._value: dict[str, Any] = value
        self._path = path
        self._known: set[str] = set()

    def where(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name

    def get(self, name: str, kind: type[T] | tuple[type, ...], default: Any = _MISSING) -> Any:
        self._known.add(name)
        value = self._value.get(name)
        if value is None:
            if default is _MISSING:
                raise TrainError("BadSpec", f"{self.where(name)} is missing")
            return default
        if isinstance(value, bool) or not isinstance(value, kind):
            raise TrainError("BadSpec", f"{self.where(name)} has the wrong type: {json.dumps(value)[:80]}")
        return value

    def number(self, name: str, default: Any, low: float, high: float, *, whole: bool = False) -> Any:
        value = self.get(name, (int,) if whole else (int, float, str), default)
        if value is None:
            return None
        try:
            number = int(value) if whole else float(value)
        except ValueError:
            raise TrainError("BadSpec", f"{self.where(name)} is not a number: {value!r}") from None
        if not low <= number <= high:
            raise TrainError("BadSpec", f"{self.where(name)} is {number:g}, and must be from {low:g} to {high:g}")
        return number

    def choice(self, name: str, choices: tuple[str, ...], default: Any = _MISSING) -> Any:
        value = self.get(name, str, default)
        if value is not None and value not in choices:
            raise TrainError("BadSpec", f"{self.where(name)} is {value!r}, and must be one of {', '.join(choices)}")
        return value

    def child(self, name: str, required: bool = False) -> _Reader | None:
        value = self.get(name, dict, _MISSING if required else None)
        return None if value is None else _Reader(value, self.where(name))

    def done(self) -> None:
        unknown = sorted(set(self._value) - self._known)
        if unknown:
            raise TrainError(
                "BadSpec",
                f"{self.where(unknown[0])} is not known; known here: {', '.join(sorted(self._known))}",
            )


def parse_spec(value: object) -> Spec:
    """@raises TrainError BadSpec, naming the field"""
    top = _Reader(value, "")
    framework = top.choice("framework", ("torch", "tensorflow"), "torch")
    method = top.choice("method", ("sft", "dpo"))
    base = top.child("baseModel", required=True)
    dataset = top.child("dataset", required=True)
    assert base is not None and dataset is not None  # noqa: S101
    base_model = BaseModel(source=base.get("source", str), file=base.get("file", str, None))
    base.done()
    digest = dataset.get("digest", str, None)
    if digest is not None and not DIGEST.match(digest):
        raise TrainError("BadSpec", f"dataset.digest must be sha256: and 64 hex digits, not {digest[:80]!r}")
    data = DatasetSpec(digest, dataset.get("split", str, "train"), dataset.get("validationSplit", str, None))
    dataset.done()
    spec = Spec(
        framework=framework,
        method=method,
        base_model=base_model,
        dataset=data,
        adapter=_adapter(top.child("adapter")),
        hyperparameters=_hyperparameters(top.child("hyperparameters")),
        mlflow=_mlflow(top.child("mlflow")),
        identity=top.get("identity", str, ""),
        resume_from=top.get("resumeFrom", str, None),
        selection=_selection(top.child("selection")),
    )
    top.done()
    if spec.selection and spec.hyperparameters.save_steps is None:
        raise TrainError("BadSpec", "selection needs hyperparameters.saveSteps")
    if framework == "tensorflow" and (method != "sft" or spec.adapter is None):
        raise TrainError(
            "BadSpec",
            "framework tensorflow trains method sft with an adapter; use framework torch for the rest",
        )
    return spec


def load_spec(path: Path) -> Spec:
    try:
        value = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise TrainError("BadSpec", f"the job spec {path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise TrainError("BadSpec", f"the job spec {path} is not JSON: {error}") from None
    return parse_spec(value)


def _adapter(reader: _Reader | None) -> Adapter | None:
    if reader is None:
        return None
    plain = Adapter()
    modules = reader.get("targetModules", list, list(plain.target_modules))
    if not modules or not all(isinstance(name, str) and name for name in modules):
        raise TrainError("BadSpec", "adapter.targetModules must list names of layers, as q_proj")
    adapter = Adapter(
        type=reader.choice("type", ("lora",), "lora"),
        r=reader.number("r", plain.r, 1, 1024, whole=True),
        alpha=reader.number("alpha", plain.alpha, 0.001, 65536),
        dropout=reader.number("dropout", plain.dropout, 0, 0.99),
        target_modules=tuple(modules),
    )
    reader.done()
    return adapter


def _hyperparameters(reader: _Reader | None) -> Hyperparameters:
    plain = Hyperparameters()
    if reader is None:
        return plain
    values = Hyperparameters(
        epochs=reader.number("epochs", plain.epochs, 0.001, 10_000),
        max_steps=reader.number("maxSteps", None, 1, 100_000_000, whole=True),
        batch_size=reader.number("batchSize", plain.batch_size, 1, 65536, whole=True),
        gradient_accumulation=reader.number("gradientAccumulation", 1, 1, 65536, whole=True),
        learning_rate=reader.number("learningRate", plain.learning_rate, 1e-12, 1e9),
        warmup=reader.number("warmup", plain.warmup, 0, 1),
        weight_decay=reader.number("weightDecay", plain.weight_decay, 0, 10),
        max_grad_norm=reader.number("maxGradNorm", plain.max_grad_norm, 0, 1e6),
        max_sequence_length=reader.number("maxSequenceLength", plain.max_sequence_length, 8, 1 << 20, whole=True),
        seed=reader.number("seed", plain.seed, 0, 2**32 - 1, whole=True),
        save_steps=reader.number("saveSteps", None, 1, 100_000_000, whole=True),
        beta=reader.number("beta", plain.beta, 0.0001, 100),
    )
    reader.done()
    return values


def _selection(reader: _Reader | None) -> SelectionSpec | None:
    if reader is None:
        return None
    cases = reader.get("cases", str)
    if not DIGEST.match(cases):
        raise TrainError("BadSpec", f"selection.cases must be sha256: and 64 hex digits, not {cases[:80]!r}")
    plain = SelectionSpec(cases)
    selection = SelectionSpec(
        cases=cases,
        max_tokens=reader.number("maxTokens", plain.max_tokens, 1, 1_000_000, whole=True),
        stop=tuple(str(text) for text in reader.get("stop", list, [])),
    )
    reader.done()
    return selection


def _mlflow(reader: _Reader | None) -> MLflow | None:
    if reader is None:
        return None
    tags = reader.get("tags", dict, {})
    value = MLflow(
        tracking_uri=reader.get("trackingUri", str),
        experiment=reader.get("experiment", str),
        registered_model=reader.get("registeredModel", str, None),
        alias=reader.get("alias", str, None),
        tags={str(key): str(tag) for key, tag in tags.items()},
    )
    reader.done()
    return value
