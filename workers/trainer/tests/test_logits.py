"""What TensorFlow trains is what PyTorch serves, when $SLIPWAY_TRAIN_TENSORFLOW names an environment of it."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import pytest

from . import tiny
from .equal_logits import TOLERANCE, difference

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="PyTorch compares"),
    pytest.mark.skipif("SLIPWAY_TRAIN_TENSORFLOW" not in os.environ, reason="SLIPWAY_TRAIN_TENSORFLOW names none"),
]
#: Frequencies of all three kinds in a head of 8: kept, divided, and between.
LLAMA3 = {
    "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}  # fmt: skip


def random_adapter(base: Path, folder: Path) -> Path:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    layers = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    adapted: Any = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules=layers))
    torch.manual_seed(1)
    for name, weight in adapted.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight, std=0.2)
    adapted.save_pretrained(folder)
    return folder


def saved_again(base: Path, folder: Path, dtype: str) -> Path:
    """As today's Transformers writes a model."""
    import torch
    from transformers import AutoModelForCausalLM

    AutoModelForCausalLM.from_pretrained(base, dtype=getattr(torch, dtype)).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("config", "dtype"),
    [
        ({}, None),
        ({"tie_word_embeddings": False, "rope_theta": 500.0, "rope_scaling": LLAMA3}, None),
        ({"rope_theta": 500.0, "rope_scaling": LLAMA3}, "float32"),
        ({"tie_word_embeddings": False, "rms_norm_eps": 1e-2}, "bfloat16"),
    ],
)
def test_keras_and_transformers_compute_the_same(config: dict[str, Any], dtype: str | None, tmp_path: Path) -> None:
    base = tiny.make(tmp_path / "base", config=config)
    if dtype is not None:
        base = saved_again(base, tmp_path / "saved", dtype)
    adapter = random_adapter(base, tmp_path / "adapter")
    rows = [[(7 * i * i + start) % 250 for i in range(length)] for start, length in ((1, 5), (2, 64), (3, 200))]
    python = str(Path(os.environ["SLIPWAY_TRAIN_TENSORFLOW"], "bin", "python"))
    found = difference(python, base, adapter, rows)
    assert max(found.plain, found.adapted) < TOLERANCE
    assert found.change > 100 * TOLERANCE, "an adapter that changes nothing would prove nothing"
    assert found.other_tokens == 0
