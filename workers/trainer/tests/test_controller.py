from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway_trainer.artifact import build_manifest, fetch, manifest_digest, publish
from slipway_trainer.controller import Controller, canonical_json
from slipway_trainer.errors import TrainError

from .fake_controller import TOKEN, State, fake_controller


@pytest.fixture
def state() -> Iterator[State]:
    with fake_controller() as state:
        yield state


def client(state: State, token: str = TOKEN) -> Controller:
    return Controller(state.url + "/", token, waits=(0.01, 0.01, 0.01))


def test_what_is_published_comes_back_byte_for_byte(state: State, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    (folder / "sub").mkdir(parents=True)
    (folder / "b.bin").write_bytes(bytes(range(256)) * 9000)
    (folder / "sub" / "a.json").write_text('{"é": 1}')
    digest, manifest = publish(client(state), folder, "adapter", {"n": "é"}, tmp_path / "scratch")
    assert digest == manifest_digest(manifest) and [file["path"] for file in manifest["files"]] == [
        "b.bin",
        "sub/a.json",
    ]
    assert state.blobs[digest] == canonical_json(manifest).encode()
    back = tmp_path / "back"
    assert fetch(client(state), digest, back) == manifest
    assert build_manifest(back, "adapter", {"n": "é"}) == manifest


def test_a_controller_that_restarts_is_waited_for(state: State, tmp_path: Path) -> None:
    digest = state.put(b"x")
    state.failing = 3
    client(state).download(digest, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == b"x"
    state.failing = 99
    with pytest.raises(TrainError, match="failed 4 times, at last with: HTTP 503: starting") as caught:
        client(state).read(digest)
    assert caught.value.code == "ControllerUnreachable"
    with pytest.raises(TrainError, match="failed 4 times"):
        Controller("http://127.0.0.1:9", TOKEN, waits=(0.01, 0.01, 0.01)).read(digest)


def test_wrong_bytes_never_become_a_file(state: State, tmp_path: Path) -> None:
    digest = state.put(b"right")
    state.blobs[digest] = b"wrong"
    with pytest.raises(TrainError) as caught:
        client(state).download(digest, tmp_path / "f")
    assert caught.value.code == "DatasetDigestMismatch" and digest in caught.value.message
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_is_told_at_once_and_without_the_token(state: State) -> None:
    with pytest.raises(TrainError, match="refused with HTTP 401") as caught:
        client(state, "secret-token").read("sha256:" + "0" * 64)
    assert state.unauthorised == 1 and "secret-token" not in str(caught.value)


def test_progress_may_get_lost_and_the_outcome_may_not(state: State) -> None:
    state.failing = 1
    client(state).report({"state": "Running"}, must=False)
    assert state.reports == []
    state.failing = 2
    client(state).report({"state": "Failed"}, must=True)
    assert state.reports == [{"state": "Failed"}]


def test_the_last_report_is_none_before_the_first(state: State) -> None:
    assert client(state).latest_report() is None
    state.reports.append({"state": "Running", "progress": {"step": 1}})
    assert client(state).latest_report() == {"state": "Running", "progress": {"step": 1}}


@pytest.mark.parametrize(
    "data", [b"{", b"[]", b'{"files":[{"path":"../x","digest":"sha256:1"}]}', b'{"files":[{"path":"/x"}]}']
)
def test_a_manifest_that_lists_strange_paths_is_refused(state: State, tmp_path: Path, data: bytes) -> None:
    with pytest.raises(TrainError, match="is not an artifact's manifest"):
        fetch(client(state), state.put(data), tmp_path)
