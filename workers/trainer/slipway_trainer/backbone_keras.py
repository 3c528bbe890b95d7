"""A Hugging Face Llama in Keras: KerasHub's backbone with the weights of a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .errors import TrainError


def load(folder: Path) -> Any:
    """The backbone, in float32. @raises TrainError UnknownBaseModel"""
    config = json.loads((folder / "config.json").read_text("utf-8"))
    if (other := _other(config)) is not None:
        raise TrainError("UnknownBaseModel", f"framework tensorflow trains Llamas, and {other}; use framework torch")
    import keras_hub

    try:
        # The converter leaves the epsilon at Llama's own; others differ.
        return keras_hub.models.Llama3Backbone.from_preset(
            str(folder), dtype="float32", layer_norm_epsilon=config.get("rms_norm_eps", 1e-6), **_scaling(config)
        )
    except (OSError, ValueError, KeyError) as error:
        raise TrainError("UnknownBaseModel", f"the base model cannot be loaded: {str(error)[:300]}") from None


def hidden_states(backbone: Any, ids: Any) -> Any:
    """What the last layer makes of rows whose padding, if any, is at their end: causal attention never looks there."""
    import tensorflow as tf

    return backbone({"token_ids": ids, "padding_mask": tf.ones_like(ids)})


def logits(backbone: Any, hidden: Any) -> Any:
    import tensorflow as tf

    return tf.cast(backbone.token_embedding(hidden, reverse=True), tf.float32)


def _other(config: dict[str, Any]) -> str | None:
    """How this model differs from what the converter knows; it would leave these out without a word."""
    if config.get("model_type") != "llama":
        return f"this is {config.get('model_type')!r}"
    if config.get("head_dim") not in (None, config["hidden_size"] // config["num_attention_heads"]):
        return "this model's head_dim is not hidden_size / heads"
    if config.get("attention_bias") or config.get("mlp_bias"):
        return "this one's layers have biases"
    if config.get("hidden_act", "silu") != "silu":
        return f"this one's hidden_act is {config['hidden_act']!r}"
    if _rope_type(config) not in ("default", "llama3"):
        return f"this one's rope_type is {_rope_type(config)!r}"
    return None


def _rope(config: dict[str, Any]) -> dict[str, Any]:
    """Transformers 5 writes rope_parameters, earlier versions rope_scaling."""
    return config.get("rope_parameters") or config.get("rope_scaling") or {}


def _rope_type(config: dict[str, Any]) -> str:
    rope = _rope(config)
    # "type" is what it was called at first.
    return str(rope.get("rope_type", rope.get("type", "default")))


def _scaling(config: dict[str, Any]) -> dict[str, Any]:
    """Llama 3.1's frequencies, which the converter looks for in rope_scaling alone."""
    if _rope_type(config) != "llama3":
        return {}
    rope = _rope(config)
    return {
        "rope_frequency_adjustment_factor": rope["factor"],
        "rope_low_freq_factor": rope["low_freq_factor"],
        "rope_high_freq_factor": rope["high_freq_factor"],
        "rope_pretraining_sequence_length": rope["original_max_position_embeddings"],
    }
