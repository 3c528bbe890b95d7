"""What a trained model says when Keras computes it.

`python -m tests.keras_answers BASE ADAPTER ASKED OUTPUT` is a program of its own because the two frameworks do not fit
into one environment. ASKED is JSON, `{chats, maxTokens, stop, batches}`; OUTPUT gets a list of answers for each size of
a batch.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any


def adapted(base: Path, adapter: Path) -> Any:
    """The backbone with a published adapter."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import tensorflow as tf

    from slipway_trainer import backbone_keras
    from slipway_trainer.lora_keras import adapt, restore
    from slipway_trainer.spec import Adapter

    config = json.loads((adapter / "adapter_config.json").read_text())
    spec = Adapter(r=config["r"], alpha=config["lora_alpha"], target_modules=tuple(config["target_modules"]))
    backbone = backbone_keras.load(base)
    restore(adapt(backbone, spec, 0, tf.Variable([0, 0], dtype=tf.int32)), adapter / "adapter_model.safetensors")
    return backbone


def uncached(base: Path, adapter: Path, chats: list[list[dict[str, str]]], max_tokens: int) -> list[str]:
    """With nothing of generate_keras.py: each token from the whole text before it, and no other rows beside."""
    import tensorflow as tf
    from transformers import AutoTokenizer

    from slipway_trainer import backbone_keras

    tokenizer: Any = AutoTokenizer.from_pretrained(adapter)
    backbone = adapted(base, adapter)

    def answer(chat: list[dict[str, str]]) -> str:
        text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        prompt = tokenizer(text, add_special_tokens=False)["input_ids"]
        made: list[int] = []
        while len(made) < max_tokens and tokenizer.eos_token_id not in made:
            hidden = backbone_keras.hidden_states(backbone, tf.constant([prompt + made], dtype=tf.int32))
            made.append(int(tf.argmax(backbone_keras.logits(backbone, hidden)[0, -1])))
        return str(tokenizer.decode(made, skip_special_tokens=True))

    return [answer(chat) for chat in chats]


def main(base: Path, adapter: Path, asked: Path, output: Path) -> None:
    from transformers import AutoTokenizer

    from slipway_trainer.generate_keras import Greedy

    given = json.loads(asked.read_text())
    greedy = Greedy(adapted(base, adapter), AutoTokenizer.from_pretrained(base), base)
    chats, max_tokens, stop = given["chats"], given["maxTokens"], tuple(given["stop"])
    found = [greedy.answers(chats, max_tokens, stop, batch) for batch in given["batches"]]
    output.write_text(json.dumps(found))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
