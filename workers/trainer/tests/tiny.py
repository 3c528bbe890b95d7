"""A Llama of 100 kB with a byte-level tokenizer: trains in a second, and both frameworks read it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

HIDDEN, LAYERS, HEADS, KV, WIDE = 32, 2, 4, 2, 64
SPECIAL = ["<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def make(folder: Path, *, template: bool = True, config: dict[str, Any] | None = None) -> Path:
    """`config` replaces entries of config.json."""
    from safetensors.numpy import save_file
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    folder.mkdir(parents=True)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate([*SPECIAL, *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(str(folder / "tokenizer.json"))
    settings: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|end|>",
        "pad_token": "<|end|>",
    }
    if template:
        settings["chat_template"] = TEMPLATE
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    whole = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": len(vocabulary),
        "hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": KV,
        "head_dim": HIDDEN // HEADS, "intermediate_size": WIDE, "max_position_embeddings": 512, "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0, "hidden_act": "silu", "tie_word_embeddings": True, "eos_token_id": 0, "pad_token_id": 0,
        "attention_bias": False, "mlp_bias": False, "torch_dtype": "float32",
        **(config or {}),
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(whole))
    random = np.random.default_rng(1)
    head = HIDDEN // HEADS
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (len(vocabulary), HIDDEN)}
    for i in range(LAYERS):
        at = f"model.layers.{i}"
        shapes |= {
            f"{at}.self_attn.q_proj.weight": (HIDDEN, HIDDEN),
            f"{at}.self_attn.k_proj.weight": (KV * head, HIDDEN),
            f"{at}.self_attn.v_proj.weight": (KV * head, HIDDEN),
            f"{at}.self_attn.o_proj.weight": (HIDDEN, HIDDEN),
            f"{at}.mlp.gate_proj.weight": (WIDE, HIDDEN),
            f"{at}.mlp.up_proj.weight": (WIDE, HIDDEN),
            f"{at}.mlp.down_proj.weight": (HIDDEN, WIDE),
        }
    if not whole["tie_word_embeddings"]:
        shapes["lm_head.weight"] = (len(vocabulary), HIDDEN)
    weights = {name: (random.standard_normal(shape) * 0.2).astype(np.float32) for name, shape in shapes.items()}
    norms = [f"model.layers.{i}.{n}_layernorm.weight" for i in range(LAYERS) for n in ("input", "post_attention")]
    for name in [*norms, "model.norm.weight"]:
        # Each another, so that one in the place of another is noticed.
        weights[name] = (1 + random.standard_normal(HIDDEN) * 0.1).astype(np.float32)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def chats(count: int = 40) -> bytes:
    """Rows that can be learned by heart: the answer to every question is `ok`."""
    rows = [
        {"messages": [{"role": "user", "content": f"q{i}"}, {"role": "assistant", "content": "ok"}]}
        for i in range(count)
    ]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def pairs(count: int = 16) -> bytes:
    rows = [{"prompt": f"q{i}", "chosen": " yes", "rejected": " no"} for i in range(count)]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()
