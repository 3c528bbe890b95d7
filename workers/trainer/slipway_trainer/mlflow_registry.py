"""A training in MLflow: one run and, when asked, one registered version, however often this is done.

The identity of the training is a tag on both; what carries it already is found and completed, never made twice.
"""

from __future__ import annotations

import os
import re
import time
from typing import Any

from .errors import TrainError
from .spec import MLflow, Spec

IDENTITY = "slipway.identity"
#: MLflow's limit for one call of log_batch.
BATCH = 1000


def register(spec: Spec, result: dict[str, Any]) -> dict[str, str]:
    """{runId, model, version} for the result. @raises TrainError MLflowUnavailable, which a later try may not meet"""
    wanted = spec.mlflow
    assert wanted is not None  # noqa: S101
    # MLflow reports its use to its makers unless told otherwise; nothing leaves that the spec does not name.
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    import mlflow
    from mlflow.exceptions import MlflowException

    client = mlflow.MlflowClient(tracking_uri=wanted.tracking_uri, registry_uri=wanted.tracking_uri)
    tags = _tags(spec, wanted, result)
    try:
        run = _run(client, wanted.experiment, tags)
        _log(client, run, spec, result, tags)
        answer = {"runId": run.info.run_id}
        if wanted.registered_model:
            answer |= _version(client, wanted, run.info.run_id, tags, result)
        # Last: a run that is finished has everything.
        client.set_terminated(run.info.run_id, "FINISHED")
    except MlflowException as error:
        raise TrainError("MLflowUnavailable", f"MLflow: {_plain(str(error))[:500]}") from None
    return answer


def _plain(text: str) -> str:
    """Without users and passwords in URLs, which clients repeat in their errors."""
    return re.sub(r"//[^/\s@]+@", "//", text)


def _tags(spec: Spec, wanted: MLflow, result: dict[str, Any]) -> dict[str, str]:
    return {
        **wanted.tags,
        IDENTITY: spec.identity,
        "slipway.artifact": result["artifact"]["digest"],
        "slipway.base": result["base"]["resolved"],
        "slipway.dataset": spec.dataset.digest or "local",
    }


def _run(client: Any, experiment: str, tags: dict[str, str]) -> Any:
    found = client.get_experiment_by_name(experiment)
    if found is None:
        experiment_id = client.create_experiment(experiment)
    elif found.lifecycle_stage != "active":
        raise TrainError("BadSpec", f"the MLflow experiment {experiment!r} was deleted; restore it or name another")
    else:
        experiment_id = found.experiment_id
    known = client.search_runs([experiment_id], filter_string=f"tags.`{IDENTITY}` = '{tags[IDENTITY]}'", max_results=1)
    if known:
        return known[0]
    return client.create_run(experiment_id, run_name=f"slipway-{tags[IDENTITY][:12]}", tags=tags)


def _log(client: Any, run: Any, spec: Spec, result: dict[str, Any], tags: dict[str, str]) -> None:
    from mlflow.entities import Metric, Param, RunTag

    values = spec.hyperparameters
    params: dict[str, Any] = {
        "framework": spec.framework,
        "method": spec.method,
        "base_model": spec.base_model.source,
        **{name: value for name, value in vars(values).items() if value is not None},
    }
    if spec.adapter:
        params |= {f"lora_{name}": value for name, value in vars(spec.adapter).items()}
    now = int(time.time() * 1000)
    steps = result["lossHistory"]
    metrics = [Metric("loss", float(loss), now, int(step)) for step, loss in steps]
    metrics += [Metric(name, float(value), now, result["steps"]) for name, value in sorted(result["metrics"].items())]
    for one in result.get("candidates", []):
        metrics += [Metric(f"suite.{name}", one[name], now, one["step"]) for name in ("passRate", "score")]
    # Logging the same params again is allowed and changes nothing; metrics would come twice.
    if "lastLoss" in run.data.metrics:
        metrics = []
    run_id = run.info.run_id
    client.log_batch(
        run_id,
        params=[Param(name, str(value)) for name, value in sorted(params.items())] if not run.data.params else [],
        tags=[RunTag(name, value) for name, value in sorted(tags.items())],
    )
    for start in range(0, len(metrics), BATCH):
        client.log_batch(run_id, metrics=metrics[start : start + BATCH])


def _version(client: Any, wanted: MLflow, run_id: str, tags: dict[str, str], result: dict[str, Any]) -> dict[str, str]:
    from mlflow.exceptions import MlflowException

    name = wanted.registered_model
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    known = [
        version
        for version in client.search_model_versions(f"name = '{name}'")
        if version.tags.get(IDENTITY) == tags[IDENTITY]
    ]
    if known:
        version = min(known, key=lambda found: int(found.version))
    else:
        digest = result["artifact"]["digest"]
        version = client.create_model_version(name, source=f"slipway-artifact:/{digest}", run_id=run_id, tags=tags)
    if wanted.alias:
        client.set_registered_model_alias(name, wanted.alias, version.version)
    return {"model": str(name), "version": str(version.version)}
