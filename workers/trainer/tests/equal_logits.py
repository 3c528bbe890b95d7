"""Keras and Transformers compute the same from the same files: a base model, and a LoRA adapter on it.

`python -m tests.equal_logits PYTHON BASE ADAPTER CHATS` prints how far they are apart, PYTHON being that of the
environment with TensorFlow and CHATS JSON Lines with `messages`; its status is 1 when that is more than TOLERANCE.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

#: Of a logit. Both compute in float32, but add up in another order.
TOLERANCE = 1e-3
ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Difference:
    #: Greatest difference of a logit, without and with the adapter.
    plain: float
    adapted: float
    #: Greatest change of a logit that the adapter makes, next to which the difference must be small.
    change: float
    #: Positions at which another token is the likeliest.
    other_tokens: int
    positions: int


def difference(python: str, base: Path, adapter: Path, rows: list[list[int]]) -> Difference:
    import numpy as np
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    with tempfile.TemporaryDirectory() as folder:
        asked, output = Path(folder, "rows.json"), Path(folder, "logits.npz")
        asked.write_text(json.dumps(rows))
        command = [python, "-m", "tests.keras_logits", *map(str, (base, adapter, asked, output))]
        subprocess.run(command, cwd=ROOT, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}, check=True)
        with np.load(output) as stored:
            keras = {name: stored[name] for name in ("plain", "adapted")}

    def computed(model: Any) -> Any:
        with torch.inference_mode():
            return np.concatenate([model(torch.tensor([row])).logits[0].float().numpy() for row in rows])

    model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
    plain = computed(model)
    adapted = computed(PeftModel.from_pretrained(model, adapter).eval())
    return Difference(
        plain=float(np.abs(keras["plain"] - plain).max()),
        adapted=float(np.abs(keras["adapted"] - adapted).max()),
        change=float(np.abs(adapted - plain).max()),
        other_tokens=int(
            (keras["plain"].argmax(-1) != plain.argmax(-1)).sum()
            + (keras["adapted"].argmax(-1) != adapted.argmax(-1)).sum()
        ),
        positions=2 * len(plain),
    )


def main(python: str, base: Path, adapter: Path, chats: Path) -> int:
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(adapter)
    messages = [json.loads(line)["messages"] for line in chats.read_text("utf-8").splitlines()]
    texts = [tokenizer.apply_chat_template(each, tokenize=False, add_generation_prompt=True) for each in messages]
    rows = tokenizer(texts, add_special_tokens=False)["input_ids"]
    found = difference(python, base, adapter, rows)
    print(json.dumps({**asdict(found), "tolerance": TOLERANCE}))
    return 0 if max(found.plain, found.adapted) <= TOLERANCE else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], *map(Path, sys.argv[2:])))
