"""Training with TensorFlow: KerasHub's Llama backbone, its weights frozen, and LoRA beside them."""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import backbone_keras
from .backend import Task
from .errors import TrainError
from .folder import tidy
from .generate_keras import Greedy
from .lora_keras import Pair, adapt, peft_config, restore, tensors
from .machine import cpu_count
from .selection import check_template
from .tokens import IGNORED, Tokenized, tokenize_rows

STATE = "trainer_state.json"


def train(task: Task) -> dict[str, float]:
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras
    import tensorflow as tf
    from transformers import AutoTokenizer

    if not tf.config.list_physical_devices("GPU"):
        tf.config.threading.set_intra_op_parallelism_threads(cpu_count())
    keras.utils.set_random_seed(task.spec.hyperparameters.seed)
    tokenizer = AutoTokenizer.from_pretrained(task.base)
    check_template(task.spec, tokenizer)
    limit = task.spec.hyperparameters.max_sequence_length
    rows = tokenize_rows(task.train, tokenizer, limit)
    held = tokenize_rows(task.validation, tokenizer, limit) if task.validation else None
    learner = _Learner(task, rows, backbone_keras.load(task.base), tokenizer)
    started = time.monotonic()
    learner.run()
    metrics = {
        "trainRows": len(rows.input_ids),
        "truncatedRows": rows.truncated,
        "skippedRows": rows.skipped,
        "trainTokens": sum(map(len, rows.input_ids)),
        "trainRuntimeSeconds": round(time.monotonic() - started, 3),
        "meanLoss": sum(learner.losses) / max(1, len(learner.losses)),
    }
    if held is not None:
        task.progress.say("Evaluating")
        metrics["evalLoss"] = learner.evaluate(held)
    learner.save_model(task.output)
    return metrics


class _Learner:
    def __init__(self, task: Task, rows: Tokenized, backbone: Any, tokenizer: Any) -> None:
        import keras
        import tensorflow as tf

        assert task.spec.adapter is not None  # noqa: S101
        self._task = task
        self._rows = rows
        self._tokenizer = tokenizer
        self._pad = tokenizer.pad_token_id or 0
        self._adapter = task.spec.adapter
        values = task.spec.hyperparameters
        self._values = values
        per_epoch = math.ceil(len(rows.input_ids) / (values.batch_size * values.gradient_accumulation))
        self._per_epoch = per_epoch
        self._total = values.max_steps or max(1, math.ceil(per_epoch * values.epochs))
        #: [whether dropout is on, step]
        self._training = tf.Variable([0, 0], dtype=tf.int32)
        self._pairs: list[Pair] = adapt(backbone, self._adapter, values.seed, self._training)
        self._greedy = Greedy(backbone, tokenizer, task.base) if task.selection else None
        variables = [variable for pair in self._pairs for variable in (pair.a, pair.b)]
        # PyTorch's AdamW constants, so that one learning rate means the same in both frameworks.
        optimizer = keras.optimizers.AdamW(
            learning_rate=values.learning_rate,
            weight_decay=values.weight_decay,
            epsilon=1e-8,
            global_clipnorm=values.max_grad_norm or None,
        )
        optimizer.build(variables)
        self._optimizer = optimizer
        raw = [variable.value for variable in variables]
        self.losses: list[float] = []
        signature = [tf.TensorSpec((None, None), tf.int32)] * 2

        def loss_of(ids: Any, labels: Any) -> tuple[Any, Any]:
            hidden = backbone_keras.hidden_states(backbone, ids)
            learned = labels[:, 1:] != IGNORED
            # The output layer is the widest by far: only where something is learned.
            logits = backbone_keras.logits(backbone, tf.boolean_mask(hidden[:, :-1], learned))
            targets = tf.boolean_mask(labels[:, 1:], learned)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
            return tf.reduce_sum(losses), tf.size(targets)

        @tf.function(input_signature=signature, reduce_retracing=True)  # type: ignore[untyped-decorator,unused-ignore]
        def forward(ids: Any, labels: Any) -> Any:
            return loss_of(ids, labels)

        @tf.function(input_signature=signature, reduce_retracing=True)  # type: ignore[untyped-decorator,unused-ignore]
        def gradients(ids: Any, labels: Any) -> Any:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(raw)
                total, count = loss_of(ids, labels)
            return total, count, tape.gradient(total, raw)

        @tf.function  # type: ignore[untyped-decorator,unused-ignore]
        def update(gradients: list[Any]) -> None:
            optimizer.apply(gradients, variables)

        self._forward, self._gradients, self._update = forward, gradients, update

    def run(self) -> None:
        task, progress = self._task, self._task.progress
        done = self._resume()
        progress.begin(self._total, done)
        if task.resume and task.selection and task.selection.wants(done, self._total):
            # The pod before this one ended between a checkpoint and its answers.
            self._judge(done, task.saved(task.resume, done))
        for step in range(done + 1, self._total + 1):
            self.losses.append(self._step(step))
            progress.at(step, self.losses[-1])
            every = self._values.save_steps
            if task.stopping() or (every and (step % every == 0 or step == self._total)):
                self._judge(step, self._save(step))
            if task.stopping():
                raise TrainError("Cancelled", f"asked to stop; step {step} is saved as a checkpoint")

    def evaluate(self, rows: Tokenized) -> float:
        total = count = 0.0
        order = list(range(len(rows.input_ids)))
        for start in range(0, len(order), self._values.batch_size):
            loss, tokens = self._forward(*self._batch(rows, order[start : start + self._values.batch_size]))
            total, count = total + float(loss), count + float(tokens)
        return total / count

    def save_model(self, folder: Path) -> None:
        """What a server reads."""
        from safetensors.numpy import save_file

        folder.mkdir(parents=True, exist_ok=True)
        save_file(tensors(self._pairs), folder / "adapter_model.safetensors", metadata={"format": "pt"})
        config = peft_config(self._adapter, self._task.base_name)
        (folder / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", "utf-8")
        self._tokenizer.save_pretrained(folder)
        tidy(folder, self._task.base_name)

    def _step(self, step: int) -> float:
        self._training.assign([1, step])
        total = tokens = 0.0
        summed: list[Any] | None = None
        for indices in self._micro_batches(step):
            loss, count, gradients = self._gradients(*self._batch(self._rows, indices))
            total, tokens = total + float(loss), tokens + float(count)
            summed = gradients if summed is None else [a + b for a, b in zip(summed, gradients, strict=True)]
        assert summed is not None  # noqa: S101
        self._optimizer.learning_rate = self._rate(step)
        self._update([gradient / tokens for gradient in summed])
        self._training.assign([0, step])
        return total / tokens

    def _rate(self, step: int) -> float:
        """Linear up, then linear down to 0, as Transformers' default."""
        # Transformers takes a warmup below 1 as a share of the steps.
        warm = math.ceil(self._values.warmup * self._total)
        at = step - 1
        share = at / warm if at < warm else (self._total - at) / max(1, self._total - warm)
        return self._values.learning_rate * share

    def _micro_batches(self, step: int) -> Iterator[list[int]]:
        """Rows of a step: a function of seed and step, so that a resumed training sees what it would have seen."""
        import numpy as np

        epoch, within = divmod(step - 1, self._per_epoch)
        order = np.random.default_rng([self._values.seed, epoch]).permutation(len(self._rows.input_ids)).tolist()
        size = self._values.batch_size
        start = within * size * self._values.gradient_accumulation
        for first in range(start, min(start + size * self._values.gradient_accumulation, len(order)), size):
            yield order[first : first + size]

    def _batch(self, rows: Tokenized, indices: list[int]) -> tuple[Any, Any]:
        import numpy as np

        width = max(len(rows.input_ids[index]) for index in indices)
        ids = np.full((len(indices), width), self._pad, dtype=np.int32)
        labels = np.full((len(indices), width), IGNORED, dtype=np.int32)
        for line, index in enumerate(indices):
            row = rows.input_ids[index]
            # Padding is at the end: causal attention keeps it from everything before, and it has no label.
            ids[line, : len(row)] = row
            labels[line, : len(row)] = rows.labels[index]
        return ids, labels

    def _save(self, step: int) -> list[dict[str, Any]]:
        """Its files."""
        import numpy as np

        folder = self._task.checkpoints / f"checkpoint-{step}"
        self.save_model(folder)
        state = {str(i): variable.numpy() for i, variable in enumerate(self._optimizer.variables)}
        np.savez(folder / "optimizer.npz", **state)
        history = [list(point) for point in self._task.progress.history.points]
        (folder / STATE).write_text(json.dumps({"global_step": step, "history": history}), "utf-8")
        files = self._task.saved(folder, step)
        for old in self._task.checkpoints.glob("checkpoint-*"):
            if old != folder:
                shutil.rmtree(old)
        return files

    def _judge(self, step: int, files: list[dict[str, Any]]) -> None:
        if self._greedy is not None:
            self._task.judge(step, self._total, files, self._greedy.answers)

    def _resume(self) -> int:
        import numpy as np

        folder = self._task.resume
        if folder is None:
            return 0
        restore(self._pairs, folder / "adapter_model.safetensors")
        with np.load(folder / "optimizer.npz") as state:
            for i, variable in enumerate(self._optimizer.variables):
                variable.assign(state[str(i)])
        known = json.loads((folder / STATE).read_text("utf-8"))
        for step, loss in known["history"]:
            self._task.progress.resumed(int(step), float(loss))
            self.losses.append(float(loss))
        return int(known["global_step"])
