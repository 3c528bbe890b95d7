"""Against a real MLflow server, when $SLIPWAY_MLFLOW names a folder with MLflow installed."""

from __future__ import annotations

import os
import socket
import subprocess
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
    return parse_spec(
        {
            "method": "sft",
            "identity": identity,
            "baseModel": {"source": "hf://a/b@c"},
            "dataset": {"digest": "sha256:" + "d" * 64},
            "adapter": {},
            "mlflow": {
                "trackingUri": url, "experiment": "support", "registeredModel": "triage", "alias": "candidate",
                "tags": {"slipway.revision": "r1", "slipway.commit": "c1"}, **more,
            },
        }
    )  # fmt: skip


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


def test_a_server_that_is_away_is_told_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(TrainError) as caught:
        register(spec_for("http://user:pass-word@127.0.0.1:9"), RESULT)
    assert caught.value.code == "MLflowUnavailable" and "pass-word" not in caught.value.message
