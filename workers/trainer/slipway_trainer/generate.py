"""Greedy answers of a model: to choose a checkpoint and, as `python -m slipway_trainer.generate`, for tests.

Reads JSON Lines of {"id", "messages"}, writes {"id", "answer"}. Serving is the work of ModelDeployments.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from .base_model import LocalBase, as_safetensors
from .machine import cpu_count


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
        found += [_until(text, stop) for text in made]
    return found


def _until(text: str, stop: tuple[str, ...]) -> str:
    ends = [text.find(end) for end in stop if end in text]
    return text[: min(ends)] if ends else text


def answers(
    base: Path, adapter: Path | None, chats: list[list[dict[str, str]]], max_tokens: int, batch: int = 16
) -> list[str]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(cpu_count())
    tokenizer: Any = AutoTokenizer.from_pretrained(base)
    model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    if adapter is not None:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, adapter).merge_and_unload()
    model.eval()
    return greedy(model, tokenizer, chats, max_tokens, batch=batch)


def main() -> int:
    parser = argparse.ArgumentParser(prog="slipway_trainer.generate", description=__doc__)
    parser.add_argument("--base", required=True, type=Path, help="folder of the base model, or of a whole trained one")
    parser.add_argument("--gguf", help="name of the GGUF file in it")
    parser.add_argument("--adapter", type=Path)
    parser.add_argument("--input", required=True, type=Path)
    parser.add_argument("--output", required=True, type=Path)
    parser.add_argument("--max-tokens", type=int, default=8)
    parser.add_argument("--work", type=Path, help="where a GGUF base is converted to; kept for the next call")
    arguments = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    work = arguments.work or Path(tempfile.mkdtemp(prefix="slipway-generate-"))
    base = as_safetensors(LocalBase(arguments.base, arguments.gguf, "", ""), work)
    rows = [json.loads(line) for line in arguments.input.read_text("utf-8").splitlines() if line.strip()]
    found = answers(base, arguments.adapter, [row["messages"] for row in rows], arguments.max_tokens)
    with arguments.output.open("w", encoding="utf-8") as file:
        for row, answer in zip(rows, found, strict=True):
            file.write(json.dumps({"id": row["id"], "answer": answer}, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
