"""The model that training starts from, brought to a local folder in Hugging Face's layout."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .artifact import fetch
from .controller import Controller, sha256_file
from .errors import TrainError
from .spec import BaseModel

_HUB = re.compile(r"^hf://([A-Za-z0-9][\w.-]*/[\w.-]+)(?:@([\w./-]+))?$")
#: What training reads; a repository may hold the same weights in five more formats.
_WANTED = ["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt"]


@dataclass(frozen=True)
class LocalBase:
    folder: Path
    #: Set when the folder holds GGUF.
    gguf: str | None
    #: What the weights are, however they were named: a hub commit or a digest.
    resolved: str
    #: How an adapter should name its base.
    name: str


def offline_unless_hub(base: BaseModel) -> None:
    """Called before any framework is loaded: nothing is fetched that the spec does not name."""
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    if not base.source.startswith("hf://"):
        os.environ["HF_HUB_OFFLINE"] = "1"


def locate(base: BaseModel, controller: Controller | None, scratch: Path) -> LocalBase:
    """@raises TrainError UnknownBaseModel"""
    if match := _HUB.match(base.source):
        return _hub(match[1], match[2], base.file, scratch)
    if base.source.startswith("artifact:"):
        return _artifact(base, controller, scratch)
    if "://" in base.source:
        raise TrainError(
            "BadSpec",
            f"baseModel.source {base.source!r} is none of hf://org/name@revision, artifact:sha256:… and a folder",
        )
    folder = Path(base.source)
    return LocalBase(folder, base.file, _digest(folder, base.file), folder.name)


def _artifact(base: BaseModel, controller: Controller | None, scratch: Path) -> LocalBase:
    digest = base.source.removeprefix("artifact:")
    if controller is None:
        raise TrainError("BadSpec", f"baseModel.source {base.source} needs a controller to read from (SLIPWAY_URL)")
    folder = scratch / "base"
    fetch(controller, digest, folder, missing="UnknownBaseModel")
    _digest(folder, base.file)
    return LocalBase(folder, base.file, digest, base.source)


def _digest(folder: Path, gguf: str | None) -> str:
    """Digest of the weights; complains when there are none."""
    if not folder.is_dir():
        raise TrainError("UnknownBaseModel", f"the base model's folder {folder} does not exist")
    names = [gguf] if gguf else sorted(path.name for path in folder.glob("*.safetensors"))
    present = ", ".join(sorted(path.name for path in folder.iterdir())[:20]) or "nothing"
    if not names or (not gguf and not (folder / "config.json").exists()):
        raise TrainError("UnknownBaseModel", f"{folder} holds no config.json with *.safetensors; it holds {present}")
    if gguf and not (folder / gguf).is_file():
        raise TrainError("UnknownBaseModel", f"{folder} holds no {gguf}; it holds {present}")
    if len(names) == 1:
        return sha256_file(folder / str(names[0]))
    return " ".join(sha256_file(folder / str(name)) for name in names)


def _hub(repository: str, revision: str | None, gguf: str | None, scratch: Path) -> LocalBase:
    import huggingface_hub
    from huggingface_hub import errors

    try:
        folder = Path(
            huggingface_hub.snapshot_download(
                repository,
                revision=revision,
                allow_patterns=[gguf, "*.json"] if gguf else _WANTED,
                cache_dir=scratch / "hub",
            )
        )
    except errors.GatedRepoError:
        raise TrainError(
            "UnknownBaseModel",
            f"{repository} is gated: accept its terms on the hub, and give the job a token that may read it",
        ) from None
    except errors.RevisionNotFoundError:
        raise TrainError("UnknownBaseModel", f"{repository} has no revision {revision!r}") from None
    except (errors.RepositoryNotFoundError, errors.HFValidationError):
        raise TrainError(
            "UnknownBaseModel",
            f"the hub has no model {repository}, or it is private: check the name, "
            "or give the job a token that may read it",
        ) from None
    except (errors.HfHubHTTPError, errors.LocalEntryNotFoundError, OSError) as error:
        raise TrainError("HubUnreachable", f"{repository} could not be fetched: {str(error)[:300]}") from None
    # A snapshot's folder is named by its commit.
    _digest(folder, gguf)
    return LocalBase(folder, gguf, f"hf:{repository}@{folder.name}", repository)


def as_safetensors(base: LocalBase, scratch: Path) -> Path:
    """The folder to train from. GGUF weights are dequantized and saved plainly: quantized ones cannot be trained."""
    if base.gguf is None:
        return base.folder
    folder = scratch / "base-safetensors"
    if (folder / "config.json").exists():
        return folder
    # torch is needed for this: transformers reads GGUF into torch tensors only.
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(base.folder, gguf_file=base.gguf)
        model: Any = AutoModelForCausalLM.from_pretrained(base.folder, gguf_file=base.gguf)
    except (OSError, ValueError, KeyError) as error:
        raise TrainError("UnknownBaseModel", f"{base.gguf} cannot be read as a model: {str(error)[:300]}") from None
    # The weights are plain by now, but the model is still marked as quantized.
    model.is_quantized = False
    model.hf_quantizer = None
    for mark in ("quantization_method",):
        if hasattr(model, mark):
            delattr(model, mark)
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    partial = folder.with_name(folder.name + ".partial")
    tokenizer.save_pretrained(partial)
    model.save_pretrained(partial)
    partial.rename(folder)
    return folder
