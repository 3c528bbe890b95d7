"""LoRA for KerasHub's Llama-like backbones, in the form that PEFT reads.

Keras's own `enable_lora` factors each head's kernel apart, which PEFT has no form for. Here A is (r, in) and B (out, r)
for the flattened layer, so that the adapter can be served wherever a PEFT adapter can.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import TrainError
from .spec import Adapter

#: Where each layer of a Hugging Face Llama is in KerasHub's decoder block: (attribute path, number of input axes).
PLACES: dict[str, tuple[tuple[str, ...], int]] = {
    "q_proj": (("_self_attention_layer", "_query_dense"), 1),
    "k_proj": (("_self_attention_layer", "_key_dense"), 1),
    "v_proj": (("_self_attention_layer", "_value_dense"), 1),
    "o_proj": (("_self_attention_layer", "_output_dense"), 2),
    "gate_proj": (("_feedforward_gate_dense",), 1),
    "up_proj": (("_feedforward_intermediate_dense",), 1),
    "down_proj": (("_feedforward_output_dense",), 1),
}


@dataclass(frozen=True)
class Pair:
    """One adapted layer: PEFT's name for it, A transposed (in, r) and B transposed (r, out)."""

    name: str
    a: Any
    b: Any


def adapt(backbone: Any, adapter: Adapter, seed: int, training: Any) -> list[Pair]:
    """Adds B·A·x·alpha/r to the named layers. `training` is a variable: [0 or 1, step], read for dropout."""
    import keras

    pairs: list[Pair] = []
    for target in adapter.target_modules:
        if target not in PLACES:
            raise TrainError("BadSpec", f"adapter.targetModules names {target!r}; known: {', '.join(PLACES)}")
    for index in range(backbone.num_layers):
        block = backbone.get_layer(f"transformer_layer_{index}")
        for target in adapter.target_modules:
            path, input_axes = PLACES[target]
            layer = block
            for attribute in path:
                layer = getattr(layer, attribute)
            shape = tuple(int(size) for size in layer.kernel.shape)
            inputs, outputs = math.prod(shape[:input_axes]), math.prod(shape[input_axes:])
            # As PEFT starts: A uniform in ±1/sqrt(in), B zero, so that the adapted model begins as the base.
            bound = 1 / math.sqrt(inputs)
            start = keras.initializers.RandomUniform(-bound, bound, seed=seed + len(pairs))
            a = keras.Variable(start, shape=(inputs, adapter.r), dtype="float32", name=f"lora_a_{len(pairs)}")
            b = keras.Variable("zeros", shape=(adapter.r, outputs), dtype="float32", name=f"lora_b_{len(pairs)}")
            part = "self_attn" if target in ("q_proj", "k_proj", "v_proj", "o_proj") else "mlp"
            pairs.append(Pair(f"base_model.model.model.layers.{index}.{part}.{target}", a, b))
            layer.call = _adapted(layer.call, pairs[-1], shape, input_axes, adapter, (seed, len(pairs)), training)
    return pairs


def _adapted(
    original: Callable[..., Any],
    pair: Pair,
    shape: tuple[int, ...],
    input_axes: int,
    adapter: Adapter,
    seed: tuple[int, int],
    training: Any,
) -> Callable[..., Any]:
    import tensorflow as tf

    scale = adapter.alpha / adapter.r
    inputs = math.prod(shape[:input_axes])

    def call(x: Any, *args: Any, **kwargs: Any) -> Any:
        flat = tf.reshape(x, tf.concat([tf.shape(x)[:2], [inputs]], 0))
        if adapter.dropout > 0:
            kept = tf.nn.experimental.stateless_dropout(
                flat, adapter.dropout, seed=[seed[0] % 2**31 + seed[1], training[1]]
            )
            flat = tf.where(training[0] > 0, kept, flat)
        delta = tf.matmul(tf.matmul(flat, pair.a.value), pair.b.value) * scale
        return original(x, *args, **kwargs) + tf.reshape(
            delta, tf.concat([tf.shape(x)[:2], list(shape[input_axes:])], 0)
        )

    return call


def tensors(pairs: list[Pair]) -> dict[str, Any]:
    """As PEFT names and lays them out."""
    import numpy as np

    found = {}
    for pair in pairs:
        found[f"{pair.name}.lora_A.weight"] = np.ascontiguousarray(np.transpose(pair.a.numpy()))
        found[f"{pair.name}.lora_B.weight"] = np.ascontiguousarray(np.transpose(pair.b.numpy()))
    return found


def restore(pairs: list[Pair], path: Path) -> None:
    from safetensors.numpy import load_file

    stored = load_file(path)
    for pair in pairs:
        pair.a.assign(stored[f"{pair.name}.lora_A.weight"].T)
        pair.b.assign(stored[f"{pair.name}.lora_B.weight"].T)


def peft_config(adapter: Adapter, base_name: str) -> dict[str, Any]:
    """adapter_config.json."""
    return {
        "base_model_name_or_path": base_name,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": True,
        "lora_alpha": adapter.alpha,
        "lora_dropout": adapter.dropout,
        "peft_type": "LORA",
        "r": adapter.r,
        "target_modules": sorted(adapter.target_modules),
        "task_type": "CAUSAL_LM",
        "use_dora": False,
        "use_rslora": False,
    }
