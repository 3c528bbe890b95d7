"""The controller's HTTP interface as a pod uses it: artifacts by digest, and reports."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from .errors import TrainError

CHUNK = 1 << 20
TIMEOUT_SECONDS = 120
#: Waits between tries: a controller that restarts is back within a minute.
WAITS = (0.5, 1, 2, 4, 8, 15, 30, 30)
T = TypeVar("T")


def canonical_json(value: object) -> str:
    """Sorted keys, no spaces: as the controller writes manifests. Whole numbers and text only, so no float rules."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sha256_file(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"


class Controller:
    """@param url without a slash at the end; @param token is sent as bearer and appears nowhere else"""

    def __init__(self, url: str, token: str, waits: tuple[float, ...] = WAITS) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._waits = waits

    def download(self, digest: str, to: Path, *, mismatch: str = "DatasetDigestMismatch") -> None:
        """The blob as a file, which appears only when its bytes have that digest."""

        def once() -> None:
            partial = to.with_name(to.name + ".partial")
            partial.parent.mkdir(parents=True, exist_ok=True)
            hasher = hashlib.sha256()
            with self._open("GET", f"/artifacts/{digest}") as answer, partial.open("wb") as file:
                while chunk := answer.read(CHUNK):
                    hasher.update(chunk)
                    file.write(chunk)
            found = f"sha256:{hasher.hexdigest()}"
            if found != digest:
                partial.unlink()
                raise TrainError(
                    mismatch,
                    f"{to.name} was asked for by {digest} and what came has {found}; the artifact store is damaged",
                )
            partial.rename(to)

        self._retry(f"reading {digest}", once)

    def read(self, digest: str) -> bytes:
        def once() -> bytes:
            with self._open("GET", f"/artifacts/{digest}") as answer:
                data: bytes = answer.read()
            if f"sha256:{hashlib.sha256(data).hexdigest()}" != digest:
                raise TrainError(
                    "DatasetDigestMismatch",
                    f"what came for {digest} has other bytes; the artifact store is damaged",
                )
            return data

        return self._retry(f"reading {digest}", once)

    def upload(self, path: Path) -> dict[str, Any]:
        """{digest, bytes} of the stored file."""
        expected = sha256_file(path)

        def once() -> dict[str, Any]:
            with path.open("rb") as file:
                headers = {
                    "content-type": "application/octet-stream",
                    "content-length": str(path.stat().st_size),
                }
                with self._open("PUT", "/artifacts", file, headers) as answer:
                    stored: dict[str, Any] = json.loads(answer.read())
            if stored.get("digest") != expected:
                raise TrainError(
                    "ControllerUnreachable",
                    f"{path.name} was stored as {stored.get('digest')}, sent as {expected}",
                )
            return {"digest": expected, "bytes": path.stat().st_size}

        return self._retry(f"storing {path.name}", once)

    def upload_bytes(self, data: bytes, folder: Path, name: str) -> dict[str, Any]:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name
        path.write_bytes(data)
        return self.upload(path)

    def report(self, body: dict[str, Any], *, must: bool) -> None:
        """Progress that cannot be sent is dropped; the outcome (`must`) is sent until it is accepted."""
        data = json.dumps(body, allow_nan=False).encode()

        def once() -> None:
            with self._open("POST", "/work/report", data, {"content-type": "application/json"}):
                pass

        try:
            if must:
                self._retry("reporting", once)
            else:
                once()
        except (TrainError, OSError, http.client.HTTPException) as error:
            if must:
                raise
            print(f"progress could not be reported: {error}", file=sys.stderr, flush=True)

    def latest_report(self) -> dict[str, Any] | None:
        """What was last reported about this work, by this pod or one before it; None when nothing is known."""

        def once() -> dict[str, Any] | None:
            try:
                with self._open("GET", "/work/report") as answer:
                    value = json.loads(answer.read() or b"null")
            except Refused as refusal:
                if refusal.status in (404, 405):
                    return None
                raise
            return value if isinstance(value, dict) else None

        return self._retry("reading the last report", once)

    def grade(self, answers: str) -> dict[str, float]:
        """{passRate, score} of stored answers, by the graders of the suite that this work may ask."""
        data = json.dumps({"answers": answers}).encode()

        def once() -> dict[str, float]:
            with self._open("POST", "/work/grade", data, {"content-type": "application/json"}) as answer:
                value = json.loads(answer.read())
            return {"passRate": float(value["passRate"]), "score": float(value["score"])}

        return self._retry("grading", once)

    def _open(self, method: str, path: str, data: Any = None, headers: dict[str, str] | None = None) -> Any:
        request = urllib.request.Request(  # noqa: S310 - the URL is the controller's own
            self._url + path,
            data=data,
            method=method,
            headers={**(headers or {}), "authorization": f"Bearer {self._token}"},
        )
        try:
            return urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)  # noqa: S310
        except urllib.error.HTTPError as error:
            text = error.read(500).decode("utf-8", "replace").strip()
            if error.code >= 500 or error.code == 429:
                raise OSError(f"HTTP {error.code}: {text}") from None
            raise Refused(error.code, f"{method} {path} was refused with HTTP {error.code}: {text}") from None

    def _retry(self, what: str, once: Callable[[], T]) -> T:
        last: Exception | None = None
        for wait in (*self._waits, None):
            try:
                return once()
            except (OSError, http.client.HTTPException) as error:
                last = error
                if wait is not None:
                    time.sleep(wait)
        raise TrainError("ControllerUnreachable", f"{what} failed {len(self._waits) + 1} times, at last with: {last}")


class Refused(TrainError):
    """An answer that asking again will not change."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__("ControllerUnreachable", message)
        self.status = status


def from_environment() -> Controller | None:
    url, token = os.environ.get("SLIPWAY_URL"), os.environ.get("SLIPWAY_TOKEN")
    if not url:
        return None
    if not token:
        raise TrainError("BadSpec", "SLIPWAY_URL is set and SLIPWAY_TOKEN is not")
    return Controller(url, token)
