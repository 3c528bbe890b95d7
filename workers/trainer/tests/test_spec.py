from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from slipway_trainer.errors import TrainError
from slipway_trainer.spec import Adapter, load_spec, parse_spec

LEAST: dict[str, Any] = {"method": "sft", "baseModel": {"source": "hf://a/b@main"}, "dataset": {}}


def test_what_is_left_out_gets_defaults() -> None:
    spec = parse_spec(LEAST)
    assert (spec.framework, spec.adapter, spec.mlflow, spec.dataset.split) == ("torch", None, None, "train")
    assert spec.hyperparameters.epochs == 1


def test_every_member_is_read() -> None:
    digest = "sha256:" + "a" * 64
    spec = parse_spec(
        {
            "framework": "tensorflow",
            "method": "sft",
            "identity": "i",
            "resumeFrom": digest,
            "baseModel": {"source": "artifact:" + digest, "file": "m.gguf"},
            "dataset": {"digest": digest, "split": "a", "validationSplit": "b"},
            "adapter": {"type": "lora", "r": 4, "alpha": "32", "dropout": "0.1", "targetModules": ["q_proj"]},
            "hyperparameters": {
                "epochs": 2, "maxSteps": 3, "batchSize": 5, "gradientAccumulation": 6, "learningRate": "1e-5",
                "warmup": 0.1, "weightDecay": 0.2, "maxGradNorm": 0.5, "maxSequenceLength": 64, "seed": 7,
                "saveSteps": 8, "beta": 0.3,
            },
            "mlflow": {
                "trackingUri": "http://m", "experiment": "e", "registeredModel": "r", "alias": "champion",
                "tags": {"commit": "c"},
            },
        }
    )  # fmt: skip
    assert spec.adapter == Adapter("lora", 4, 32, 0.1, ("q_proj",))
    values = spec.hyperparameters
    assert (values.epochs, values.max_steps, values.batch_size, values.gradient_accumulation) == (2, 3, 5, 6)
    assert (values.learning_rate, values.warmup, values.weight_decay, values.max_grad_norm) == (1e-5, 0.1, 0.2, 0.5)
    assert (values.max_sequence_length, values.seed, values.save_steps, values.beta) == (64, 7, 8, 0.3)
    assert spec.mlflow is not None and (spec.mlflow.alias, spec.mlflow.tags) == ("champion", {"commit": "c"})
    assert (spec.base_model.file, spec.dataset.validation_split, spec.resume_from) == ("m.gguf", "b", digest)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"method": "rlhf"}, "method is 'rlhf'"),
        ({"method": None}, "method is missing"),
        ({"metod": "sft"}, "metod is not known"),
        ({"baseModel": {"sorce": "x"}}, "baseModel.source is missing"),
        ({"dataset": {"digest": "sha256:1"}}, "dataset.digest must be"),
        ({"adapter": {"r": 0}}, "adapter.r is 0"),
        ({"adapter": {"targetModules": []}}, "adapter.targetModules must list"),
        ({"hyperparameters": {"learningRate": "fast"}}, "hyperparameters.learningRate is not a number"),
        ({"hyperparameters": {"learningRate": "nan"}}, "hyperparameters.learningRate is nan"),
        ({"hyperparameters": {"batchSize": True}}, "hyperparameters.batchSize has the wrong type"),
        ({"mlflow": {"experiment": "e"}}, "mlflow.trackingUri is missing"),
        ({"framework": "tensorflow"}, "framework tensorflow trains"),
        ({"selection": {"cases": "x"}}, "selection.cases must be"),
        ({"selection": {"cases": "sha256:" + "a" * 64}}, "selection needs hyperparameters.saveSteps"),
    ],
)
def test_a_wrong_spec_is_refused_with_the_field(change: dict[str, Any], told: str) -> None:
    with pytest.raises(TrainError) as caught:
        parse_spec({**LEAST, **change})
    assert caught.value.code == "BadSpec" and told in caught.value.message


@pytest.mark.parametrize(
    ("text", "told"), [(None, "cannot be read"), ("{", "is not JSON"), ("[]", "must be an object")]
)
def test_a_file_that_holds_no_spec_is_named(tmp_path: Path, text: str | None, told: str) -> None:
    path = tmp_path / "spec.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(TrainError, match=told):
        load_spec(path)
