"""What a trained model says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slipway_trainer.generate import greedy


def answers(
    base: Path, adapter: Path | None, chats: list[list[dict[str, str]]], max_tokens: int, stop: tuple[str, ...] = ()
) -> list[str]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(base)
    model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    if adapter is not None:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, adapter).merge_and_unload()
    return greedy(model.eval(), tokenizer, chats, max_tokens, stop)
