"""`python -m tests.keras_logits BASE ADAPTER ROWS OUTPUT`: what Keras computes, for `equal_logits`.

A program of its own because the two frameworks do not fit into one environment.
ROWS is a JSON list of lists of token ids; OUTPUT gets a list of their logits, before and after the adapter's weights.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"


def main(base: Path, adapter: Path, rows: Path, output: Path) -> None:
    import numpy as np
    import tensorflow as tf

    from slipway_trainer import backbone_keras
    from slipway_trainer.lora_keras import adapt, restore
    from slipway_trainer.spec import Adapter

    config = json.loads((adapter / "adapter_config.json").read_text())
    spec = Adapter(r=config["r"], alpha=config["lora_alpha"], target_modules=tuple(config["target_modules"]))
    backbone = backbone_keras.load(base)
    pairs = adapt(backbone, spec, 0, tf.Variable([0, 0], dtype=tf.int32))

    def computed() -> list[np.ndarray]:
        ids = [tf.constant([row], dtype=tf.int32) for row in json.loads(rows.read_text())]
        return [
            backbone_keras.logits(backbone, backbone_keras.hidden_states(backbone, each)).numpy()[0] for each in ids
        ]

    plain = computed()
    restore(pairs, adapter / "adapter_model.safetensors")
    adapted = computed()
    np.savez(output, plain=np.concatenate(plain), adapted=np.concatenate(adapted))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
