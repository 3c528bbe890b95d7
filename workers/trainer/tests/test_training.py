"""Whole trainings of a tiny model, with the framework that is installed here."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slipway_trainer.__main__ import main
from slipway_trainer.artifact import manifest_digest

from . import tiny
from .answers import answers
from .fake_controller import TOKEN, State, fake_controller
from .keras_answers import uncached

FRAMEWORK = "torch" if importlib.util.find_spec("torch") else "tensorflow"
pytestmark = pytest.mark.skipif(
    not (importlib.util.find_spec("torch") or importlib.util.find_spec("tensorflow")), reason="no framework here"
)
torch_only = pytest.mark.skipif(FRAMEWORK != "torch", reason="PyTorch trains this")
tensorflow_only = pytest.mark.skipif(FRAMEWORK != "tensorflow", reason="TensorFlow refuses this")
ROOT = Path(__file__).parent.parent


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> Iterator[State]:
    with fake_controller() as state:
        monkeypatch.setenv("SLIPWAY_URL", state.url)
        monkeypatch.setenv("SLIPWAY_TOKEN", TOKEN)
        yield state


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make(tmp_path_factory.mktemp("tiny") / "tiny-llama")


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


HYPER: dict[str, Any] = {"maxSteps": 12, "batchSize": 4, "learningRate": 0.02, "maxSequenceLength": 64}


def write(folder: Path, base: Path | str, digest: str | None, **more: Any) -> str:
    spec = {
        "framework": FRAMEWORK,
        "method": "sft",
        "identity": "id",
        "adapter": {"r": 4, "alpha": 8},
        "baseModel": {"source": str(base)},
        "dataset": {"digest": digest, "split": "train"},
        "hyperparameters": HYPER,
        **more,
    }
    path = folder / "spec.json"
    path.write_text(json.dumps({name: value for name, value in spec.items() if value is not None}))
    return str(path)


def failure(state: State) -> tuple[str, str]:
    assert state.last()["state"] == "Failed"
    error = state.last()["error"]
    return error["code"], error["message"]


def test_a_training_is_reported_published_and_the_same_each_time(state: State, base: Path, tmp_path: Path) -> None:
    digest = state.put_dataset(train=tiny.chats(), validation=tiny.chats(8))
    spec = write(tmp_path, base, digest, dataset={"digest": digest, "validationSplit": "validation"})
    assert main([spec, "--work", str(tmp_path / "a")]) == 0
    first = state.last()
    result = first["result"]
    assert first["state"] == "Succeeded" and result["artifact"]["type"] == "adapter"
    metrics = result["metrics"]
    assert metrics["lastLoss"] < metrics["firstLoss"] / 2 and metrics["evalLoss"] < metrics["firstLoss"] / 2
    assert [step for step, _ in result["lossHistory"]] == list(range(1, 13)) and result["steps"] == 12
    running = [report["progress"] for report in state.reports[:-1]]
    assert {report["state"] for report in state.reports[:-1]} == {"Running"}
    assert [progress["percent"] for progress in running] == sorted(progress["percent"] for progress in running)
    phases = ["ReadingDataset", "ReadingBaseModel", "LoadingModel", "Training", "Evaluating", "Publishing"]
    assert list(dict.fromkeys(progress["phase"] for progress in running)) == phases

    manifest = state.manifest(result["artifact"]["digest"])
    assert manifest_digest(manifest) == result["artifact"]["digest"]
    names = {file["path"] for file in manifest["files"]}
    assert {"adapter_config.json", "adapter_model.safetensors", "tokenizer.json"} <= names
    folder = state.restore(result["artifact"]["digest"], tmp_path / "back")
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "tiny-llama"
    published = b"".join(path.read_bytes() for path in folder.rglob("*") if path.suffix in (".json", ".md"))
    assert str(tmp_path).encode() not in published, "a path of this machine is in the artifact"
    assert manifest["metadata"]["dataset"] == digest
    assert manifest["metadata"]["base"]["resolved"].startswith("sha256:")

    state.reports.clear()
    assert main([spec, "--work", str(tmp_path / "b")]) == 0
    assert state.last()["result"]["artifact"] == result["artifact"]


def test_plain_folders_need_no_controller(base: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "train.jsonl").write_bytes(tiny.chats())
    hyper = {**HYPER, "maxSteps": None, "epochs": 0.5, "gradientAccumulation": 2, "warmup": 0.2}
    spec = write(tmp_path, base, None, dataset={}, hyperparameters=hyper, adapter={"dropout": 0.1})
    assert main([spec, "--dataset", str(data), "--output", str(tmp_path / "out")]) == 0
    body = json.loads((tmp_path / "out" / "result.json").read_text())
    assert body["state"] == "Succeeded" and (tmp_path / "out" / "model" / "adapter_model.safetensors").exists()
    # 40 rows, 8 a step, half an epoch.
    assert body["result"]["steps"] in (2, 3)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest_digest(manifest) == body["result"]["artifact"]["digest"]


def start(spec: str, work: Path, state: State) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "slipway_trainer", spec, "--work", str(work)],
        cwd=ROOT,
        env={**os.environ, "SLIPWAY_URL": state.url, "SLIPWAY_TOKEN": TOKEN},
        stdout=subprocess.DEVNULL,
    )


def wait_for_checkpoint(state: State, process: subprocess.Popen[bytes]) -> dict[str, Any]:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and process.poll() is None:
        for report in list(state.reports):
            if checkpoint := report.get("progress", {}).get("checkpoint"):
                return dict(checkpoint)
        time.sleep(0.02)
    raise AssertionError("no checkpoint was reported")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_new_pod_goes_on_where_the_last_one_ended(
    state: State, base: Path, tmp_path: Path, number: signal.Signals
) -> None:
    digest = state.put_dataset(train=tiny.chats())
    hyper = {**HYPER, "maxSteps": 400, "saveSteps": 20, "learningRate": 0.002}
    spec = write(tmp_path, base, digest, hyperparameters=hyper, adapter={"r": 4, "dropout": 0.1})
    process = start(spec, tmp_path / "first", state)
    wait_for_checkpoint(state, process)
    process.send_signal(number)
    status = process.wait(60)
    assert status == (143 if number is signal.SIGTERM else -9)
    assert {report["state"] for report in state.reports} == {"Running"}, "being stopped is no failure"
    checkpoint = [r["progress"]["checkpoint"] for r in state.reports if "checkpoint" in r["progress"]][-1]
    assert 20 <= checkpoint["step"] < 400

    # Another folder: the checkpoint comes from the controller.
    assert main([spec, "--work", str(tmp_path / "second")]) == 0
    resumed = state.last()["result"]
    assert resumed["resumedFrom"] == f"checkpoint-{checkpoint['step']}" and resumed["steps"] == 400

    state.reports.clear()
    assert main([spec, "--work", str(tmp_path / "whole")]) == 0
    whole = state.last()["result"]
    assert whole["resumedFrom"] is None
    after = {step: loss for step, loss in resumed["lossHistory"] if step > checkpoint["step"]}
    common = [(loss, after[step]) for step, loss in whole["lossHistory"] if step in after]
    assert len(common) > 20
    assert all(a == pytest.approx(b, rel=0.02, abs=0.002) for a, b in common)


def test_a_checkpoint_of_another_training_is_not_used(state: State, base: Path, tmp_path: Path) -> None:
    digest = state.put_dataset(train=tiny.chats())
    hyper = {**HYPER, "saveSteps": 6}
    assert main([write(tmp_path, base, digest, hyperparameters=hyper), "--work", str(tmp_path / "a")]) == 0
    stored = state.last()["result"]["checkpoints"]
    assert [entry["step"] for entry in stored] == [6, 12]
    other = write(tmp_path, base, digest, hyperparameters=hyper, identity="other", resumeFrom=stored[0]["digest"])
    # Another training's reports are kept apart.
    state.reports.clear()
    assert main([other, "--work", str(tmp_path / "b")]) == 0
    assert state.last()["result"]["resumedFrom"] is None
    same = write(tmp_path, base, digest, hyperparameters=hyper, resumeFrom=stored[0]["digest"])
    state.reports.clear()
    assert main([same, "--work", str(tmp_path / "c")]) == 0
    assert state.last()["result"]["resumedFrom"] == "checkpoint-6"


QUESTIONS = [{"id": f"c{i}", "messages": [{"role": "user", "content": f"q{i}"}]} for i in (3, 50)]


def selecting(state: State, tmp_path: Path, base: Path) -> str:
    cases = state.put("".join(json.dumps(case) + "\n" for case in QUESTIONS).encode())
    hyper = {**HYPER, "saveSteps": 4, "learningRate": 0.006}
    digest = state.put_dataset(train=tiny.chats())
    selection = {"cases": cases, "maxTokens": 4, "stop": ["k"]}
    return write(tmp_path, base, digest, hyperparameters=hyper, selection=selection)


def test_the_checkpoint_whose_answers_are_best_becomes_the_artifact(state: State, base: Path, tmp_path: Path) -> None:
    rates = iter([0.5, 0.5, 0.25])
    state.grade = lambda _: {"passRate": next(rates), "score": 0.5}
    assert main([selecting(state, tmp_path, base), "--work", str(tmp_path / "w")]) == 0
    result = state.last()["result"]
    candidates = result["candidates"]
    assert [(one["step"], one["passRate"]) for one in candidates] == [(4, 0.5), (8, 0.5), (12, 0.25)]
    assert "Answering" in {report["progress"]["phase"] for report in state.reports[:-1]}
    # Of equals the one that was trained less.
    chosen = candidates[0]
    assert result["artifact"] == {"digest": chosen["digest"], "type": "adapter", "bytes": chosen["bytes"]}
    manifest = state.manifest(chosen["digest"])
    assert manifest["metadata"]["step"] == 4 and "checkpoint" not in manifest["metadata"]
    names = {file["path"] for file in manifest["files"]}
    assert {"adapter_config.json", "adapter_model.safetensors", "tokenizer.json"} <= names
    assert not names & {"optimizer.pt", "optimizer.npz", "scheduler.pt", "trainer_state.json", "rng_state.pth"}

    # What was graded are the answers of the very model that is published, up to where they have to stop.
    folder = state.restore(chosen["digest"], tmp_path / "chosen")
    answered = answers if FRAMEWORK == "torch" else uncached
    said = answered(base, folder, [case["messages"] for case in QUESTIONS], 4)  # type: ignore[misc]
    stored = json.loads(state.blobs[chosen["answers"]])["answers"]
    assert stored == {case["id"]: text.split("k")[0] for case, text in zip(QUESTIONS, said, strict=True)}
    assert stored == state.graded[0] != state.graded[2]


def test_answers_outlive_the_pod_that_gave_them(state: State, base: Path, tmp_path: Path) -> None:
    state.grade = lambda _: {"passRate": 1 / len(state.graded), "score": 1.0}
    spec = selecting(state, tmp_path, base)
    from slipway_trainer.controller import Controller

    grade = Controller.grade

    def killed(self: Controller, answers: str) -> dict[str, float]:
        if len(state.graded) == 1:
            raise SystemExit(9)
        return grade(self, answers)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(Controller, "grade", killed)
        main([spec, "--work", str(tmp_path / "first")])
    first = state.last()["progress"]["candidates"]
    assert [one["step"] for one in first] == [4] and state.last()["progress"]["checkpoint"]["step"] == 8

    assert main([spec, "--work", str(tmp_path / "second")]) == 0
    result = state.last()["result"]
    assert result["resumedFrom"] == "checkpoint-8"
    assert [one["step"] for one in result["candidates"]] == [4, 8, 12] and len(state.graded) == 3
    assert result["candidates"][0] == first[0] and result["artifact"]["digest"] == first[0]["digest"]

    # Another attempt knows no report; the checkpoint has the candidates before it.
    checkpoint = next(entry for entry in result["checkpoints"] if entry["step"] == 12)
    state.reports.clear()
    value = json.loads(Path(spec).read_text())
    Path(spec).write_text(json.dumps({**value, "resumeFrom": checkpoint["digest"]}))
    assert main([spec, "--work", str(tmp_path / "third")]) == 0
    assert state.last()["result"]["candidates"][:2] == result["candidates"][:2]


def test_a_pod_that_is_asked_to_stop_changes_nothing_about_what_is_chosen_from(
    state: State, base: Path, tmp_path: Path
) -> None:
    def asked_to_stop(_: dict[str, str]) -> dict[str, float]:
        os.kill(os.getpid(), signal.SIGTERM)
        return {"passRate": 0.5, "score": 0.5}

    state.grade = asked_to_stop
    spec = selecting(state, tmp_path, base)
    assert main([spec, "--work", str(tmp_path / "first")]) == 143
    assert len(state.graded) == 1
    state.grade = lambda _: {"passRate": 0.5, "score": 0.5}
    assert main([spec, "--work", str(tmp_path / "second")]) == 0
    result = state.last()["result"]
    assert result["resumedFrom"] in ("checkpoint-4", "checkpoint-5")
    assert [one["step"] for one in result["candidates"]] == [4, 8, 12] and len(state.graded) == 3


def test_a_base_that_cannot_be_asked_is_told_before_it_is_trained(state: State, tmp_path: Path) -> None:
    base = tiny.make(tmp_path / "base", template=False)
    assert main([selecting(state, tmp_path, base), "--work", str(tmp_path / "w")]) == 2
    assert failure(state) == ("BadSpec", "selection asks in chats, and the base model has no chat template")


@tensorflow_only
@pytest.mark.parametrize(
    ("name", "value"),
    [("repetition_penalty", 1.1), ("num_beams", 2), ("stop_strings", ["x"]), ("forced_eos_token_id", 0)],
)
def test_settings_that_change_greedy_answers_are_refused(
    name: str, value: object, state: State, tmp_path: Path
) -> None:
    base = tiny.make(tmp_path / "base")
    settings = {"eos_token_id": 0, "no_repeat_ngram_size": 0, "sequence_bias": {}, name: value}
    (base / "generation_config.json").write_text(json.dumps(settings))
    assert main([selecting(state, tmp_path, base), "--work", str(tmp_path / "w")]) == 2
    code, message = failure(state)
    assert code == "BadSpec" and name in message and json.dumps(value) in message


def test_a_loss_that_is_no_number_is_told(state: State, base: Path, tmp_path: Path) -> None:
    digest = state.put_dataset(train=tiny.chats())
    # Each step multiplies the weights by rate and decay, whatever the gradients are.
    hyper = {**HYPER, "learningRate": 1e9, "weightDecay": 1, "maxGradNorm": 0}
    spec = write(tmp_path, base, digest, hyperparameters=hyper)
    status = main([spec, "--work", str(tmp_path / "w")])
    code, message = failure(state)
    assert (status, code) == (6, "NonFiniteLoss") and "lower learningRate" in message


def test_bad_rows_and_bad_bytes_are_told(state: State, base: Path, tmp_path: Path) -> None:
    digest = state.put_dataset(train=tiny.chats(2) + b'{"messages": 5}\n')
    assert main([write(tmp_path, base, digest), "--work", str(tmp_path / "a")]) == 4
    assert failure(state) == (
        "BadDataset", "train.jsonl, row 3, column messages is not a list of messages but int",
    )  # fmt: skip
    spec = write(tmp_path, base, digest, dataset={"digest": digest, "split": "tarin"})
    assert main([spec, "--work", str(tmp_path / "b")]) == 4
    assert failure(state) == ("BadDataset", "the dataset has no tarin.jsonl; it has train.jsonl")
    assert main([write(tmp_path, base, "sha256:" + "0" * 64), "--work", str(tmp_path / "c")]) == 4
    assert "is gone, or this job's token may not read it" in failure(state)[1]
    file = state.manifest(digest)["files"][0]["digest"]
    state.blobs[file] = b"other bytes"
    assert main([write(tmp_path, base, digest), "--work", str(tmp_path / "d")]) == 5
    assert failure(state)[0] == "DatasetDigestMismatch"


def test_answers_that_do_not_fit_are_told(state: State, base: Path, tmp_path: Path) -> None:
    row = {"messages": [{"role": "user", "content": "x" * 99}, {"role": "assistant", "content": "ok"}]}
    digest = state.put_dataset(train=json.dumps(row).encode())
    assert main([write(tmp_path, base, digest), "--work", str(tmp_path / "a")]) == 4
    assert "no row's answer fits into maxSequenceLength 64" in failure(state)[1]


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("/no/such/folder", "the base model's folder /no/such/folder does not exist"),
        ("artifact:sha256:" + "0" * 64, "is gone"),
    ],
)
def test_an_unknown_base_model_is_told(state: State, tmp_path: Path, source: str, told: str) -> None:
    digest = state.put_dataset(train=tiny.chats())
    assert main([write(tmp_path, source, digest), "--work", str(tmp_path / "w")]) == 3
    code, message = failure(state)
    assert code == "UnknownBaseModel" and told in message


def test_a_base_without_weights_and_a_layer_it_has_not(state: State, base: Path, tmp_path: Path) -> None:
    digest = state.put_dataset(train=tiny.chats())
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "notes.txt").write_text("")
    assert main([write(tmp_path, empty, digest), "--work", str(tmp_path / "a")]) == 3
    assert "it holds notes.txt" in failure(state)[1]
    spec = write(tmp_path, base, digest, adapter={"targetModules": ["c_attn"]})
    assert main([spec, "--work", str(tmp_path / "b")]) == 2
    code, message = failure(state)
    assert code == "BadSpec" and "'c_attn'" in message and "q_proj" in message


def test_the_base_may_be_an_artifact(state: State, base: Path, tmp_path: Path) -> None:
    files = [
        {"path": path.name, "digest": state.put(path.read_bytes()), "bytes": path.stat().st_size}
        for path in sorted(base.iterdir())
    ]
    manifest = state.put(json.dumps({"version": 1, "type": "model", "files": files, "metadata": {}}).encode())
    digest = state.put_dataset(train=tiny.chats())
    assert main([write(tmp_path, f"artifact:{manifest}", digest), "--work", str(tmp_path / "w")]) == 0
    result = state.last()["result"]
    assert result["base"]["resolved"] == manifest


@torch_only
def test_the_whole_model_can_be_trained(state: State, base: Path, tmp_path: Path) -> None:
    digest = state.put_dataset(train=tiny.chats())
    hyper = {**HYPER, "maxSteps": 40, "learningRate": 0.01}
    spec = write(tmp_path, base, digest, adapter=None, hyperparameters=hyper)
    assert main([spec, "--work", str(tmp_path / "w")]) == 0
    result = state.last()["result"]
    assert result["artifact"]["type"] == "model"
    folder = state.restore(result["artifact"]["digest"], tmp_path / "model")
    question = [[{"role": "user", "content": "q3"}]]
    assert answers(folder, None, question, 2) == ["ok"]
    assert answers(base, None, question, 2) != ["ok"]


@torch_only
@pytest.mark.parametrize("adapter", [{"r": 4}, None])
def test_preferences_are_learned(state: State, base: Path, tmp_path: Path, adapter: Any) -> None:
    digest = state.put_dataset(train=tiny.pairs())
    spec = write(tmp_path, base, digest, method="dpo", adapter=adapter, hyperparameters={**HYPER, "beta": 0.5})
    assert main([spec, "--work", str(tmp_path / "w")]) == 0
    metrics = state.last()["result"]["metrics"]
    # DPO's loss starts at ln 2, where policy and reference agree.
    assert metrics["firstLoss"] == pytest.approx(0.6931, abs=0.001) and metrics["lastLoss"] < 0.3


@torch_only
def test_memory_that_runs_out_is_told(state: State, base: Path, tmp_path: Path) -> None:
    row = {"messages": [{"role": "user", "content": "x" * 900}, {"role": "assistant", "content": "y" * 900}]}
    digest = state.put_dataset(train=(json.dumps(row) + "\n").encode() * 512)
    hyper = {"maxSteps": 2, "batchSize": 512, "maxSequenceLength": 4096}
    spec = write(tmp_path, base, digest, hyperparameters=hyper)
    code = (
        "import resource, torch, trl, transformers, peft, datasets; from trl import SFTTrainer;"
        "from slipway_trainer.__main__ import main;"
        "now = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize();"
        "resource.setrlimit(resource.RLIMIT_AS, (now + (1 << 30),) * 2);"
        f"raise SystemExit(main([{spec!r}, '--work', {str(tmp_path / 'w')!r}]))"
    )
    environment = {**os.environ, "SLIPWAY_URL": state.url, "SLIPWAY_TOKEN": TOKEN}
    status = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL
    ).returncode
    told, message = failure(state)
    assert (status, told) == (7, "OutOfMemory") and "batchSize is 512" in message
