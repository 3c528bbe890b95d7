"""Training with PyTorch: Transformers' Trainer as TRL specialises it, and PEFT for adapters."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from .backend import Task
from .errors import TrainError
from .folder import tidy
from .generate import greedy
from .machine import cpu_count
from .selection import Chat, check_template
from .spec import Adapter
from .tokens import tokenize_rows


def train(task: Task) -> dict[str, float]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, set_seed

    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(cpu_count())
    spec = task.spec
    set_seed(spec.hyperparameters.seed)
    try:
        tokenizer = AutoTokenizer.from_pretrained(task.base)
        model = AutoModelForCausalLM.from_pretrained(task.base, dtype=_dtype(torch))
    except (OSError, ValueError, KeyError) as error:
        raise TrainError("UnknownBaseModel", f"the base model cannot be loaded: {str(error)[:300]}") from None
    check_template(spec, tokenizer)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    trainer, metrics = (_sft if spec.method == "sft" else _dpo)(task, model, tokenizer)
    result = trainer.train(resume_from_checkpoint=str(task.resume) if task.resume else None)
    if task.stopping():
        raise TrainError("Cancelled", f"asked to stop; step {trainer.state.global_step} is saved as a checkpoint")
    metrics["trainRuntimeSeconds"] = round(float(result.metrics.get("train_runtime", 0)), 3)
    metrics["meanLoss"] = float(result.training_loss)
    if task.validation is not None:
        task.progress.say("Evaluating")
        metrics["evalLoss"] = float(trainer.evaluate()["eval_loss"])
    trainer.accelerator.unwrap_model(trainer.model).save_pretrained(task.output)
    tokenizer.save_pretrained(task.output)
    tidy(task.output, task.base_name)
    return metrics


def _dtype(torch: Any) -> Any:
    return torch.bfloat16 if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else torch.float32


def _arguments(task: Task) -> dict[str, Any]:
    import torch

    values = task.spec.hyperparameters
    gpu = torch.cuda.is_available()
    return {
        "output_dir": str(task.checkpoints),
        "per_device_train_batch_size": values.batch_size,
        "per_device_eval_batch_size": values.batch_size,
        "gradient_accumulation_steps": values.gradient_accumulation,
        "learning_rate": values.learning_rate,
        "warmup_steps": values.warmup,
        "weight_decay": values.weight_decay,
        "max_grad_norm": values.max_grad_norm,
        "num_train_epochs": values.epochs,
        "max_steps": values.max_steps or -1,
        "seed": values.seed,
        "data_seed": values.seed,
        "lr_scheduler_type": "linear",
        "logging_steps": 1,
        # The filter would show the last good loss in place of NaN.
        "logging_nan_inf_filter": False,
        "save_strategy": "steps" if values.save_steps else "no",
        "save_steps": values.save_steps or 500,
        "save_total_limit": 1,
        "report_to": [],
        "disable_tqdm": True,
        "bf16": gpu and torch.cuda.is_bf16_supported(),
        "fp16": False,
        "use_cpu": not gpu,
        "gradient_checkpointing": gpu,
        "dataloader_pin_memory": gpu,
        "max_length": values.max_sequence_length,
    }


def _lora(adapter: Adapter, model: Any) -> Any:
    from peft import LoraConfig

    names = {name.rsplit(".", 1)[-1] for name, _ in model.named_modules()}
    for target in adapter.target_modules:
        if target not in names:
            linear = sorted(name for name in names if name.endswith(("proj", "attn", "fc", "dense", "c_fc")))
            raise TrainError(
                "BadSpec",
                f"adapter.targetModules names {target!r}, which this model has not; it has {', '.join(linear)}",
            )
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=adapter.r,
        lora_alpha=adapter.alpha,
        lora_dropout=adapter.dropout,
        target_modules=list(adapter.target_modules),
    )


def _sft(task: Task, model: Any, tokenizer: Any) -> tuple[Any, dict[str, float]]:
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    limit = task.spec.hyperparameters.max_sequence_length
    train = tokenize_rows(task.train, tokenizer, limit)
    validation = tokenize_rows(task.validation, tokenizer, limit) if task.validation else None
    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(**_arguments(task)),
        train_dataset=Dataset.from_dict({"input_ids": train.input_ids, "labels": train.labels}),
        eval_dataset=Dataset.from_dict({"input_ids": validation.input_ids, "labels": validation.labels})
        if validation
        else None,
        processing_class=tokenizer,
        peft_config=_lora(task.spec.adapter, model) if task.spec.adapter else None,
        callbacks=[_callback(task)],
    )
    return trainer, {
        "trainRows": len(train.input_ids),
        "truncatedRows": train.truncated,
        "skippedRows": train.skipped,
        "trainTokens": sum(map(len, train.input_ids)),
    }


def _dpo(task: Task, model: Any, tokenizer: Any) -> tuple[Any, dict[str, float]]:
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    if not tokenizer.chat_template and not isinstance(task.train.rows[0]["prompt"], str):
        raise TrainError(
            "BadDataset", "the rows are chats and the base model has no chat template; use plain text columns"
        )
    trainer = DPOTrainer(
        model=model,
        args=DPOConfig(**_arguments(task), beta=task.spec.hyperparameters.beta),
        train_dataset=Dataset.from_list(task.train.rows),
        eval_dataset=Dataset.from_list(task.validation.rows) if task.validation else None,
        processing_class=tokenizer,
        peft_config=_lora(task.spec.adapter, model) if task.spec.adapter else None,
        callbacks=[_callback(task)],
    )
    return trainer, {"trainRows": len(task.train.rows)}


def _callback(task: Task) -> Any:
    from transformers import TrainerCallback

    class Reports(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(
            self, args: Any, state: Any, control: Any, model: Any = None, processing_class: Any = None, **_: Any
        ) -> None:
            for entry in state.log_history:
                if "loss" in entry:
                    task.progress.resumed(int(entry["step"]), float(entry["loss"]))
            task.progress.begin(state.max_steps, state.global_step)
            if task.resume and task.selection and task.selection.wants(state.global_step, state.max_steps):
                # The pod before this one ended between a checkpoint and its answers.
                self._judge(state, task.saved(task.resume, state.global_step), model, processing_class)

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
            if logs and "loss" in logs:
                task.progress.at(state.global_step, float(logs["loss"]))

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if task.stopping():
                control.should_save = True
                control.should_training_stop = True

        def on_save(
            self, args: Any, state: Any, control: Any, model: Any = None, processing_class: Any = None, **_: Any
        ) -> None:
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            tidy(folder, task.base_name)
            files = task.saved(folder, state.global_step)
            self._judge(state, files, model, processing_class)

        def _judge(self, state: Any, files: list[dict[str, Any]], model: Any, tokenizer: Any) -> None:
            def answer(chats: list[Chat], max_tokens: int, stop: tuple[str, ...]) -> list[str]:
                model.eval()
                found = greedy(model, tokenizer, chats, max_tokens, stop)
                model.train()
                return found

            task.judge(state.global_step, state.max_steps, files, answer)

    return Reports()
