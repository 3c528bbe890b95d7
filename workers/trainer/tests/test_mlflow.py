"""Against a real MLflow server, when $SLIPWAY_MLFLOW names a folder with MLflow installed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slipway_trainer.errors import TrainError
from slipway_trainer.mlflow_registry import IDENTITY, register
from slipway_trainer.spec import parse_spec

pytestmark = [
    pytest.mark.mlflow,
    pytest.mark.skipif("SLIPWAY_MLFLOW" not in os.environ, reason="SLIPWAY_MLFLOW names no MLflow"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                f"{os.environ['SLIPWAY_MLFLOW']}/bin/mlflow", "server", "--host", "127.0.0.1", "--port", str(port),
                "--backend-store-uri", f"sqlite:///{folder}/mlflow.db",
                "--artifacts-destination", str(folder / "files"), "--workers", "1",
            ],
            stdout=log,
            stderr=log,
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            start_new_session=True,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 180
        while True:
            try:
                with urllib.request.urlopen(f"{url}/health", timeout=5):
                    break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(Path(folder / "log").read_text()[-2000:])
                time.sleep(0.5)
        yield url
    finally:
        os.killpg(process.pid, 15)
        process.wait(30)


def spec_for(url: str, identity: str = "i1", **more: Any) -> Any:
    return parse_spec(spec_data(url, identity, **more))


def spec_data(url: str, identity: str = "i1", **more: Any) -> dict[str, Any]:
    return {
        "method": "sft",
        "identity": identity,
        "baseModel": {"source": "hf://a/b@c"},
        "dataset": {"digest": "sha256:" + "d" * 64},
        "adapter": {},
        "mlflow": {
            "trackingUri": url, "experiment": "support", "registeredModel": "triage", "alias": "candidate",
            "tags": {"slipway.revision": "r1", "slipway.commit": "c1"}, **more,
        },
    }  # fmt: skip


RESULT: dict[str, Any] = {
    "artifact": {"digest": "sha256:" + "a" * 64, "type": "adapter", "bytes": 1},
    "base": {"resolved": "hf:a/b@c"},
    "metrics": {"lastLoss": 0.5, "evalLoss": 0.6},
    "lossHistory": [[1, 2.0], [2, 0.5]],
    "steps": 2,
    "candidates": [{"step": 1, "passRate": 0.25, "score": 0.5}],
}


def client_for(url: str) -> Any:
    import mlflow

    return mlflow.MlflowClient(tracking_uri=url, registry_uri=url)


def test_a_training_is_one_run_and_one_version_however_often_it_is_registered(server: str) -> None:
    first = register(spec_for(server), RESULT)
    assert register(spec_for(server), RESULT) == first
    client = client_for(server)
    runs = client.search_runs([client.get_experiment_by_name("support").experiment_id])
    assert [run.info.run_id for run in runs] == [first["runId"]]
    (run,) = runs
    assert run.info.status == "FINISHED"
    assert run.data.params["base_model"] == "hf://a/b@c" and run.data.params["lora_r"] == "8"
    assert run.data.metrics["loss"] == 0.5 and run.data.metrics["evalLoss"] == 0.6
    assert [(m.step, m.value) for m in client.get_metric_history(first["runId"], "loss")] == [(1, 2.0), (2, 0.5)]
    assert [(m.step, m.value) for m in client.get_metric_history(first["runId"], "suite.passRate")] == [(1, 0.25)]
    (version,) = client.search_model_versions("name = 'triage'")
    assert (version.version, version.run_id) == (first["version"], first["runId"])
    assert version.source == f"slipway-artifact:/{RESULT['artifact']['digest']}"
    expected = {
        IDENTITY: "i1", "slipway.revision": "r1", "slipway.commit": "c1", "slipway.dataset": "sha256:" + "d" * 64,
        "slipway.artifact": RESULT["artifact"]["digest"],
    }  # fmt: skip
    assert expected.items() <= version.tags.items() and expected.items() <= run.data.tags.items()
    assert client.get_model_version_by_alias("triage", "candidate").version == first["version"]


def test_another_identity_is_another_version_and_takes_the_alias(server: str) -> None:
    register(spec_for(server), RESULT)
    other = register(spec_for(server, "i2"), RESULT)
    client = client_for(server)
    assert len(client.search_model_versions("name = 'triage'")) == 2
    assert client.get_model_version_by_alias("triage", "candidate").version == other["version"]


def test_what_a_crash_left_half_done_is_completed(server: str) -> None:
    client = client_for(server)
    experiment = client.create_experiment("half")
    run = client.create_run(experiment, tags={IDENTITY: "i3"})
    answer = register(spec_for(server, "i3", experiment="half", registeredModel="half"), RESULT)
    assert answer["runId"] == run.info.run_id
    assert client.get_run(run.info.run_id).data.metrics["lastLoss"] == 0.5


#: Registers in a process that tells of each write and dies right before or after the one that it is told.
KILLED = """
import json, os, signal, sys
import requests
from slipway_trainer.mlflow_registry import register
from slipway_trainer.spec import parse_spec

given = json.loads(sys.argv[1])
passed_on, writes = requests.Session.request, 0

def request(session, method, url, **more):
    global writes
    # MLflow searches runs with POST.
    if method == "GET" or url.endswith("/search"):
        return passed_on(session, method, url, **more)
    writes += 1
    print("WRITE", url.split("/mlflow/")[-1], flush=True)
    if given["at"] == [writes, "before"]:
        os.kill(os.getpid(), signal.SIGKILL)
    answer = passed_on(session, method, url, **more)
    if given["at"] == [writes, "after"]:
        os.kill(os.getpid(), signal.SIGKILL)
    return answer

requests.Session.request = request
register(parse_spec(given["spec"]), given["result"])
"""


def register_and_die(url: str, name: str, at: tuple[int, str] | None) -> tuple[int, list[str]]:
    """The status that the process ended with, and its writes; everything that it makes is called `name`."""
    spec = spec_data(url, f"identity-of-{name}", experiment=name, registeredModel=name)
    given = json.dumps({"spec": spec, "result": RESULT, "at": at})
    done = subprocess.run(
        [sys.executable, "-c", KILLED, given],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr[-2000:]
    # MLflow prints a link or two besides.
    return done.returncode, [line[6:] for line in done.stdout.splitlines() if line.startswith("WRITE ")]


def test_a_trainer_that_dies_at_any_write_leaves_one_run_and_one_version(server: str) -> None:
    status, writes = register_and_die(server, "undisturbed", None)
    assert status == 0
    assert {"experiments/create", "runs/create", "runs/log-batch", "model-versions/create"} <= set(writes)
    client = client_for(server)
    points = [(nth, phase) for nth in range(1, len(writes) + 1) for phase in ("before", "after")]
    for nth, phase in points:
        name = f"killed-{phase}-{nth}"
        status, _ = register_and_die(server, name, (nth, phase))
        assert status == -signal.SIGKILL, name
        answer = register(spec_for(server, f"identity-of-{name}", experiment=name, registeredModel=name), RESULT)
        (run,) = client.search_runs([client.get_experiment_by_name(name).experiment_id])
        (version,) = client.search_model_versions(f"name = '{name}'")
        assert answer == {"runId": run.info.run_id, "model": name, "version": version.version}, name
        assert (run.info.status, version.run_id, version.version) == ("FINISHED", run.info.run_id, "1"), name
        losses = client.get_metric_history(run.info.run_id, "loss")
        assert [(each.step, each.value) for each in losses] == [(1, 2.0), (2, 0.5)], name
        assert len(client.get_metric_history(run.info.run_id, "lastLoss")) == 1, name
        assert run.data.params["base_model"] == "hf://a/b@c", name
        assert client.get_model_version_by_alias(name, "candidate").version == "1", name


def test_a_server_that_is_away_is_told_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(TrainError) as caught:
        register(spec_for("http://user:pass-word@127.0.0.1:9"), RESULT)
    assert caught.value.code == "MLflowUnavailable" and "pass-word" not in caught.value.message
