"""`python -m slipway_trainer [SPEC]`: in a Job's pod, or on plain folders with --dataset and --output."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from .controller import Controller, from_environment
from .errors import TrainError, explain
from .job import Places, Stop, run, write_result
from .spec import Spec, load_spec

#: Where the kubelet reads a container's last words from.
TERMINATION_LOG = Path("/dev/termination-log")


def main(argv: list[str] | None = None) -> int:
    arguments = _parse(argv)
    controller: Controller | None = None
    spec: Spec | None = None
    stop = Stop()
    try:
        stop.install()
        spec = load_spec(Path(arguments.spec))
        if arguments.dataset is None:
            controller = from_environment()
        work = Path(arguments.work or tempfile.mkdtemp(prefix="slipway-trainer-"))
        output = Path(arguments.output or work / "output")
        for folder in (work, output):
            folder.mkdir(parents=True, exist_ok=True)
        result = run(spec, controller, Places(work, output, _path(arguments.dataset)), stop, _sender(controller))
        body: dict[str, Any] = {"state": "Succeeded", "result": result}
        if controller is None:
            write_result(output, body)
        else:
            controller.report(body, must=True)
        print(
            json.dumps({"state": "Succeeded", "artifact": result["artifact"], "metrics": result["metrics"]}),
            flush=True,
        )
        return 0
    except BaseException as caught:
        if isinstance(caught, SystemExit):
            raise
        error = explain(caught, batch_size=spec.hyperparameters.batch_size if spec else None)
        if error.code == "InternalError":
            sys.excepthook(type(caught), caught, caught.__traceback__)
        return _failed(error, controller, arguments.output)


def _failed(error: TrainError, controller: Controller | None, output: str | None) -> int:
    told = {"code": error.code, "message": error.message[:4000]}
    body = {"state": "Failed", "error": told}
    print(json.dumps(body), file=sys.stderr, flush=True)
    try:
        if TERMINATION_LOG.exists():
            TERMINATION_LOG.write_text(json.dumps(told))
    except OSError:
        pass
    if controller is None:
        if output is not None:
            write_result(Path(output), body)
    elif error.code not in ("Cancelled", "ControllerUnreachable"):
        # A pod that was asked to stop has not failed: the next one goes on from its checkpoint.
        try:
            controller.report(body, must=True)
        except TrainError as unreachable:
            print(unreachable.message, file=sys.stderr, flush=True)
    return error.exit_status


def _sender(controller: Controller | None) -> Any:
    def send(view: dict[str, Any]) -> None:
        line = {
            name: view[name]
            for name in ("phase", "step", "totalSteps", "percent", "etaSeconds", "loss")
            if name in view
        }
        print(json.dumps(line), flush=True)
        if controller is not None:
            controller.report({"state": "Running", "progress": view}, must=False)

    return send


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="slipway_trainer", description="Trains one model from a job spec.")
    parser.add_argument(
        "spec", nargs="?", default=os.environ.get("SLIPWAY_SPEC"), help="job spec, JSON (else $SLIPWAY_SPEC)"
    )
    parser.add_argument("--dataset", help="folder with <split>.jsonl, in place of a dataset artifact")
    parser.add_argument("--output", help="folder for the trained files")
    parser.add_argument("--work", default=os.environ.get("SLIPWAY_WORK"), help="folder for scratch and checkpoints")
    arguments = parser.parse_args(argv)
    if arguments.spec is None:
        parser.error("name a job spec, or set SLIPWAY_SPEC")
    return arguments


if __name__ == "__main__":
    raise SystemExit(main())
