"""Greedy answers of a Keras backbone, to choose a checkpoint: for TensorFlow what generate.py is for PyTorch.

Layers and their cache of keys and values are KerasHub's. The loop is not: KerasHub's `generate` knows no texts that end
an answer, compiles again for each length, and compares probabilities, of which float32 rounds several to the same.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from . import backbone_keras
from .errors import TrainError
from .stop import until

#: Settings that change what greedy decoding says, and the value of each that does not. Transformers heeds them.
_NOT_HEEDED: dict[str, object] = {
    "repetition_penalty": 1,
    "no_repeat_ngram_size": 0,
    "min_length": 0,
    "min_new_tokens": 0,
    "num_beams": 1,
    "bad_words_ids": [],
    "suppress_tokens": [],
    "begin_suppress_tokens": [],
    "sequence_bias": {},
    "guidance_scale": 1,
    "forced_bos_token_id": None,
    "forced_eos_token_id": None,
    "exponential_decay_length_penalty": None,
    "stop_strings": [],
}
#: Tokens for which caches have room at first, and for as many more each time it is used up: answers are mostly short.
_ROOM = 256
#: Tokens that are looked at beyond the longest text that ends an answer: one may have no text of its own.
_MARGIN = 8


class Greedy:
    """Compiled once for all checkpoints; the weights are those of the moment. @raises TrainError BadSpec"""

    def __init__(self, backbone: Any, tokenizer: Any, base: Path) -> None:
        import tensorflow as tf

        self._tokenizer = tokenizer
        self._ends = _ends(base, tokenizer)
        self._layers = backbone.num_layers
        #: How many heads of keys and values a layer has, and how wide they are.
        self._heads = (backbone.num_key_value_heads, backbone.hidden_dim // backbone.num_query_heads)
        rows = tf.TensorSpec((None, None), tf.int32)
        cache = tf.TensorSpec((None, 2, None, *self._heads), tf.float32)

        @tf.function(input_signature=[rows, rows, tf.TensorSpec((), tf.int32), [cache] * self._layers])  # type: ignore[untyped-decorator,unused-ignore]
        def likeliest(ids: Any, visible: Any, at: Any, caches: list[Any]) -> Any:
            """The token after `ids`, which begin at position `at`, and the caches with them."""
            hidden, after = backbone.token_embedding(ids), []
            for layer, cache in zip(backbone.transformer_layers, caches, strict=True):
                hidden, cache = layer(
                    hidden,
                    decoder_padding_mask=visible,
                    self_attention_cache=cache,
                    self_attention_cache_update_index=at,
                )
                after.append(cache)
            logits = backbone_keras.logits(backbone, backbone.layer_norm(hidden[:, -1:]))
            return tf.argmax(logits[:, 0], axis=-1, output_type=tf.int32), after

        self._likeliest = likeliest

    def answers(
        self, chats: list[list[dict[str, str]]], max_tokens: int, stop: tuple[str, ...] = (), batch: int = 16
    ) -> list[str]:
        """One answer for each chat: the likeliest token each time, so the same model answers the same."""
        prompts = [self._prompt(chat) for chat in chats]
        # Prompts of like length together: there is less to fill up.
        order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
        found = [""] * len(prompts)
        for start in range(0, len(order), batch):
            some = order[start : start + batch]
            for index, tokens in zip(some, self._tokens([prompts[i] for i in some], max_tokens, stop), strict=True):
                found[index] = until(self._tokenizer.decode(tokens, skip_special_tokens=True), stop)
        return found

    def _prompt(self, chat: list[dict[str, str]]) -> list[int]:
        text = self._tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _tokens(self, prompts: list[list[int]], max_tokens: int, stop: tuple[str, ...]) -> list[list[int]]:
        import numpy as np
        import tensorflow as tf

        width = max(map(len, prompts))
        ids = np.zeros((len(prompts), width), dtype=np.int32)
        room = width + min(max_tokens, _ROOM)
        visible = np.ones((len(prompts), room), dtype=np.int32)
        for line, prompt in enumerate(prompts):
            # Filled up on the left, so that all answers begin at one position. What fills is not seen, and Llama's
            # positions count by their distance alone.
            ids[line, width - len(prompt) :] = prompt
            visible[line, : width - len(prompt)] = 0
        caches = [tf.zeros((len(prompts), 2, room, *self._heads))] * self._layers
        made: list[list[int]] = [[] for _ in prompts]
        going = set(range(len(prompts)))
        at = 0
        while going:
            if at + ids.shape[1] > room:
                room += _ROOM
                visible = np.pad(visible, [(0, 0), (0, _ROOM)], constant_values=1)
                caches = [tf.pad(cache, [(0, 0), (0, 0), (0, _ROOM), (0, 0), (0, 0)]) for cache in caches]
            likeliest, caches = self._likeliest(ids, visible, at, caches)
            at += ids.shape[1]
            ids = likeliest.numpy()[:, None]
            for line in sorted(going):
                made[line].append(int(ids[line, 0]))
                if len(made[line]) == max_tokens or self._ended(made[line], stop):
                    going.remove(line)
        return made

    def _ended(self, tokens: list[int], stop: tuple[str, ...]) -> bool:
        if tokens[-1] in self._ends:
            return True
        # A special token's text may be one that ends.
        latest = tokens[-(max(map(len, stop)) + _MARGIN) :] if stop else []
        text = self._tokenizer.decode(latest)
        return any(end in text for end in stop)


def _ends(base: Path, tokenizer: Any) -> set[int]:
    """Tokens that end an answer: the model's, as Transformers reads them, and the tokenizer's."""
    file = base / "generation_config.json"
    settings = json.loads((file if file.exists() else base / "config.json").read_text("utf-8"))
    for name, nothing in _NOT_HEEDED.items():
        if settings.get(name) not in (None, nothing):
            raise TrainError(
                "BadSpec",
                f"framework tensorflow answers without {name}, and the base model's generation settings have it as "
                f"{json.dumps(settings[name])[:80]}; use framework torch",
            )
    told = settings.get("eos_token_id")
    ends = {*(told if isinstance(told, list) else [told]), tokenizer.eos_token_id}
    return {token for token in ends if token is not None}
