"""`python -m slipway_trainer.generate`: greedy answers of a model, with or without an adapter, for tests.

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


def answers(
    base: Path, adapter: Path | None, chats: list[list[dict[str, str]]], max_tokens: int, batch: int = 16
) -> list[str]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(cpu_count())
    tokenizer: Any = AutoTokenizer.from_pretrained(base, padding_side="left")
    model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    if adapter is not None:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, adapter).merge_and_unload()
    model.eval()
    texts = [tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True) for chat in chats]
    found = []
    for start in range(0, len(texts), batch):
        inputs = tokenizer(texts[start : start + batch], return_tensors="pt", padding=True, add_special_tokens=False)
        with torch.inference_mode():
            output = model.generate(
                **inputs, max_new_tokens=max_tokens, do_sample=False, pad_token_id=tokenizer.pad_token_id
            )
        found += tokenizer.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    return found


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
