"""Trained files as they are published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def tidy(folder: Path, base_name: str) -> None:
    """Takes out what differs between machines and says nothing about the model."""
    (folder / "README.md").unlink(missing_ok=True)
    (folder / "training_args.bin").unlink(missing_ok=True)
    for name, change in (
        ("adapter_config.json", {"base_model_name_or_path": base_name}),
        (
            "tokenizer_config.json",
            {"name_or_path": None, "_name_or_path": None, "is_local": None, "local_files_only": None},
        ),
    ):
        path = folder / name
        if not path.exists():
            continue
        value: dict[str, Any] = json.loads(path.read_text("utf-8"))
        value = {key: item for key, item in {**value, **change}.items() if key not in change or item is not None}
        # PEFT keeps the layers' names in a set, whose order differs from run to run.
        if isinstance(value.get("target_modules"), list):
            value["target_modules"].sort()
        path.write_text(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")
