"""The server over a tiny model: a real port, a real adapter, and what Prometheus would read."""

from __future__ import annotations

import importlib.util
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slipway_trainer.errors import TrainError

from . import tiny

pytestmark = pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="PyTorch serves")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make(tmp_path_factory.mktemp("serve") / "tiny-llama")


@pytest.fixture(scope="module")
def adapter(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter that changes answers: its weights are far from zero."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(base)
    adapted: Any = get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj", "v_proj"]))
    torch.manual_seed(1)
    for name, weight in adapted.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight, std=2)
    folder = tmp_path_factory.mktemp("adapter")
    adapted.save_pretrained(folder)
    return folder


class Served:
    def __init__(self, app: Any) -> None:
        import uvicorn

        self._server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.02)
        self.url = f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join()

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path) as answer:
            return str(answer.read().decode())

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, str]:
        request = urllib.request.Request(
            self.url + path, json.dumps(body).encode(), {"content-type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def ask(self, text: str = "hello", **more: Any) -> tuple[int, str]:
        messages = [{"role": "user", "content": text}]
        body = {"model": "triage", "messages": messages, "max_tokens": 5, "temperature": 0, **more}
        return self.post("/v1/chat/completions", body)


@pytest.fixture(scope="module")
def served(base: Path) -> Iterator[Served]:
    from slipway_trainer.serve import build_app

    server = Served(build_app(base, name="triage", device="cpu"))
    yield server
    server.close()


def figures(text: str) -> dict[str, float]:
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_answers_under_its_name_and_no_other(served: Served) -> None:
    assert json.loads(served.get("/health")) == {"status": "ok"}
    assert [model["id"] for model in json.loads(served.get("/v1/models"))["data"]] == ["triage"]
    status, text = served.ask()
    answer = json.loads(text)
    assert status == 200
    assert answer["usage"]["completion_tokens"] == 5
    assert json.loads(served.ask()[1])["choices"] == answer["choices"]
    assert served.ask(model="other")[0] == 400


def test_streams(served: Served) -> None:
    status, text = served.ask(stream=True)
    assert status == 200
    chunks = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    streamed = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)
    assert streamed == json.loads(served.ask()[1])["choices"][0]["message"]["content"]


@pytest.mark.parametrize("path", ["/load_model", "/reset", "/v1/responses", "/docs"])
def test_hides_what_would_load_or_drop_models(served: Served, path: str) -> None:
    assert served.post(path, {"model": "org/other"})[0] == 404
    assert served.ask()[0] == 200


def test_counts_what_happened(served: Served) -> None:
    before = figures(served.get("/metrics"))
    served.ask()
    served.ask(stream=True)
    served.ask(model="other")
    after = figures(served.get("/metrics"))

    def gained(name: str, labels: str = "") -> float:
        key = f'slipway_serve_{name}{{model_name="triage"{labels}}}'
        return after[key] - before.get(key, 0)

    assert gained("requests_total", ',status="200"') == 2
    assert gained("requests_total", ',status="400"') == 1
    assert gained("generated_tokens_total") == 10
    # Each: user, h, e, l, l, o, end, assistant.
    assert gained("prompt_tokens_total") == 2 * 8
    assert gained("time_to_first_token_seconds_count") == 2
    assert gained("request_duration_seconds_count") == 3
    assert gained("requests_waiting") == 0
    assert after['slipway_serve_requests_running{model_name="triage"}'] == 0


def test_an_adapter_changes_the_answers(base: Path, adapter: Path, served: Served) -> None:
    from slipway_trainer.serve import build_app

    other = Served(build_app(base, name="triage", adapter=adapter, device="cpu"))
    try:
        assert json.loads(other.ask()[1])["choices"] != json.loads(served.ask()[1])["choices"]
    finally:
        other.close()


def test_says_what_is_missing(base: Path, adapter: Path, tmp_path: Path) -> None:
    from slipway_trainer.serve import build_app

    empty = tmp_path / "empty"
    empty.mkdir()
    for folder, more, message in [
        (tmp_path / "gone", {}, "does not exist"),
        (empty, {}, "holds no config.json; it holds nothing"),
        (base, {"gguf": "m.gguf"}, "holds no m.gguf"),
        (base, {"adapter": empty}, "holds no adapter_config.json"),
        (tiny.make(tmp_path / "plain", template=False), {}, "has no chat template"),
    ]:
        with pytest.raises(TrainError, match=message) as caught:
            build_app(folder, name="triage", device="cpu", **more)  # type: ignore[arg-type]
        assert caught.value.code == "UnknownBaseModel"
