"""Greedy answers of a model, to choose a checkpoint. Serving is the work of ModelDeployments."""

from __future__ import annotations

from typing import Any

from .stop import until


def greedy(
    model: Any,
    tokenizer: Any,
    chats: list[list[dict[str, str]]],
    max_tokens: int,
    stop: tuple[str, ...] = (),
    batch: int = 16,
) -> list[str]:
    """One answer for each chat: the likeliest token each time, so the same model answers the same."""
    import torch

    texts = [tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True) for chat in chats]
    found: list[str] = []
    for start in range(0, len(texts), batch):
        inputs = tokenizer(
            texts[start : start + batch],
            return_tensors="pt",
            padding=True,
            # The answer begins where the question ends.
            padding_side="left",
            add_special_tokens=False,
        ).to(model.device)
        ending = {"stop_strings": list(stop), "tokenizer": tokenizer} if stop else {}
        # Not inference_mode: what a model keeps of it would be of no use to the training that goes on.
        with torch.no_grad():
            output = model.generate(
                **inputs,
                max_new_tokens=max_tokens,
                do_sample=False,
                pad_token_id=tokenizer.pad_token_id,
                use_cache=True,
                **ending,
            )
        made = tokenizer.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        found += [until(text, stop) for text in made]
    return found
