"""The controller's HTTP interface in memory, with failures on demand."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from slipway_trainer.controller import canonical_json

TOKEN = "t0ken"  # noqa: S105


class State:
    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.reports: list[dict[str, Any]] = []
        self.unauthorised = 0
        #: {passRate, score} of answers by case; what was graded.
        self.grade: Callable[[dict[str, str]], dict[str, float]] = lambda _: {"passRate": 0.0, "score": 0.0}
        self.graded: list[dict[str, str]] = []
        #: Answers 503 to so many requests.
        self.failing = 0
        self.url = ""

    def put(self, data: bytes) -> str:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.blobs[digest] = data
        return digest

    def put_dataset(self, **splits: bytes) -> str:
        files = [
            {"path": f"{name}.jsonl", "digest": self.put(data), "bytes": len(data)}
            for name, data in sorted(splits.items())
        ]
        return self.put(canonical_json({"version": 1, "type": "dataset", "files": files, "metadata": {}}).encode())

    def manifest(self, digest: str) -> dict[str, Any]:
        return dict(json.loads(self.blobs[digest]))

    def restore(self, digest: str, folder: Path) -> Path:
        """The artifact as files."""
        for file in self.manifest(digest)["files"]:
            path = folder / file["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.blobs[file["digest"]])
        return folder

    def last(self) -> dict[str, Any]:
        return self.reports[-1]

    def latest(self) -> dict[str, Any]:
        """The last report with checkpoint and candidates, which the controller keeps until there are others."""
        report = self.last()
        told = [each.get("progress", {}) for each in self.reports]
        kept = {name: each[name] for each in told for name in ("checkpoint", "candidates") if name in each}
        return {**report, "progress": {**report.get("progress", {}), **kept}} if kept else report


def _handler(state: State) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def _answer(self, status: int, body: bytes = b"") -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _body(self) -> bytes:
            return self.rfile.read(int(self.headers.get("content-length", 0)))

        def _refused(self) -> bool:
            body = self._body()
            self.body = body
            if self.headers.get("authorization") != f"Bearer {TOKEN}":
                state.unauthorised += 1
                self._answer(401, b"no valid token\n")
                return True
            if state.failing > 0:
                state.failing -= 1
                self._answer(503, b"starting\n")
                return True
            return False

        def do_GET(self) -> None:
            if self._refused():
                return
            if self.path == "/work/report":
                if state.reports:
                    self._answer(200, json.dumps(state.latest()).encode())
                else:
                    self._answer(404, b"not found\n")
                return
            data = state.blobs.get(self.path.removeprefix("/artifacts/"))
            self._answer(404, b"not found\n") if data is None else self._answer(200, data)

        def do_PUT(self) -> None:
            if self._refused():
                return
            digest = state.put(self.body)
            self._answer(201, json.dumps({"digest": digest, "bytes": len(self.body)}).encode())

        def do_POST(self) -> None:
            if self._refused():
                return
            body = json.loads(self.body)
            if self.path == "/work/grade":
                answers = json.loads(state.blobs[body["answers"]])["answers"]
                state.graded.append(answers)
                self._answer(200, json.dumps(state.grade(answers)).encode())
                return
            state.reports.append(body)
            self._answer(204)

    return Handler


@contextmanager
def fake_controller() -> Iterator[State]:
    state = State()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(state))
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
