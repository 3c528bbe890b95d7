"""What a served model does, for Prometheus: transformers' own server exposes no metrics.

Sequential generation waits in one queue, so a request's life is: waiting, running, done.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

#: Seconds. A GPU answers in tenths, a CPU in minutes.
BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300)
GENERATING = frozenset({"/v1/chat/completions", "/v1/completions"})
#: Everything else that transformers' app offers would load, unload or download models.
SERVED = GENERATING | {"/v1/models", "/health"}


@dataclass
class Request:
    started: float = field(default_factory=time.monotonic)


#: The request on whose behalf the current task runs.
CURRENT: ContextVar[Request | None] = ContextVar("request", default=None)


class ServeMetrics:
    """All names and meanings are in the README beside this package."""

    def __init__(self, model: str) -> None:
        self.registry = CollectorRegistry()
        labels = {"model_name": model}

        def of(metric: Any) -> Any:
            return metric.labels(**labels)

        names = list(labels)
        place: dict[str, Any] = {"registry": self.registry, "namespace": "slipway_serve"}
        self._requests = Counter("requests_total", "Requests answered, by HTTP status", [*names, "status"], **place)
        self._labels = labels
        self.duration = of(
            Histogram("request_duration_seconds", "From request to the answer's end", names, buckets=BUCKETS, **place)
        )
        self.first_token = of(
            Histogram("time_to_first_token_seconds", "From request to its first token", names, buckets=BUCKETS, **place)
        )
        self.generated = of(Counter("generated_tokens_total", "Tokens generated", names, **place))
        self.prompt = of(Counter("prompt_tokens_total", "Tokens read in prompts", names, **place))
        self.waiting = of(Gauge("requests_waiting", "Requests that wait for the model", names, **place))
        self.running = of(Gauge("requests_running", "Requests that the model works on", names, **place))

    def answered(self, status: int, seconds: float) -> None:
        self._requests.labels(**self._labels, status=str(status)).inc()
        self.duration.observe(seconds)

    def render(self) -> bytes:
        return generate_latest(self.registry)


class Measured:
    """ASGI: times requests that generate, answers /metrics, and hides what is not for clients."""

    def __init__(self, app: App, metrics: ServeMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        if path == "/metrics":
            await _answer(send, 200, self._metrics.render(), CONTENT_TYPE_LATEST)
        elif path not in SERVED:
            await _answer(send, 404, b'{"error":{"message":"not found","code":"not_found"}}', "application/json")
        elif path in GENERATING:
            await self._timed(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _timed(self, scope: Message, receive: Receive, send: Send) -> None:
        # Whoever leaves before an answer began is counted as nginx does.
        status = 499
        request = Request()

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
            await send(message)

        token = CURRENT.set(request)
        try:
            await self._app(scope, receive, watched)
        except Exception:
            status = 500
            raise
        finally:
            CURRENT.reset(token)
            self._metrics.answered(status, time.monotonic() - request.started)


async def _answer(send: Send, status: int, body: bytes, content_type: str) -> None:
    headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


#: The request whose tokens the inference thread makes.
_working = threading.local()


def measured_work(metrics: ServeMetrics, work: Callable[..., Any]) -> Callable[..., Any]:
    """Work for the inference thread, handed over by the current request: counted as waiting until it starts."""
    request = CURRENT.get()
    metrics.waiting.inc()

    def run(*args: Any, **kwargs: Any) -> Any:
        metrics.waiting.dec()
        metrics.running.inc()
        _working.request = request
        try:
            return work(*args, **kwargs)
        finally:
            _working.request = None
            metrics.running.dec()

    return run


class TokenWatch:
    """Called by `generate` after each token, as a stopping criterion that never stops."""

    def __init__(self, metrics: ServeMetrics) -> None:
        self._metrics = metrics
        self._seen = 0

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        import torch

        self._metrics.generated.inc()
        self._seen += 1
        request: Request | None = getattr(_working, "request", None)
        if self._seen == 1 and request is not None:
            self._metrics.prompt.inc(int(input_ids.shape[-1]) - 1)
            self._metrics.first_token.observe(time.monotonic() - request.started)
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)
