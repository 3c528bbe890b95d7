"""Models that Keras would compute wrongly are refused before anything is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from slipway_trainer import backbone_keras
from slipway_trainer.errors import TrainError

from . import tiny


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"model_type": "qwen2"}, "this is 'qwen2'"),
        ({"head_dim": 16}, "head_dim is not hidden_size / heads"),
        ({"attention_bias": True}, "layers have biases"),
        ({"mlp_bias": True}, "layers have biases"),
        ({"hidden_act": "gelu"}, "hidden_act is 'gelu'"),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 4.0}}, "rope_type is 'yarn'"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_type is 'linear'"),
    ],
)
def test_what_is_no_llama_of_keras_is_told(config: dict[str, Any], told: str, tmp_path: Path) -> None:
    base = tiny.make(tmp_path / "base", config=config)
    with pytest.raises(TrainError, match="use framework torch") as caught:
        backbone_keras.load(base)
    assert caught.value.code == "UnknownBaseModel" and told in caught.value.message
