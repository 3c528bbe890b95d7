"""Artifacts: folders that are known by the digest of a manifest which lists their files by digest."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from .controller import Controller, Refused, canonical_json, sha256_file
from .errors import TrainError

_PATH = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.@+-]*(/[A-Za-z0-9_][A-Za-z0-9_.@+-]*)*$")


def parse_manifest(data: bytes, digest: str) -> dict[str, Any]:
    """@raises TrainError BadDataset when the bytes are no manifest"""
    try:
        manifest = json.loads(data)
        files = manifest["files"]
        for file in files:
            if not _PATH.match(file["path"]) or not file["digest"].startswith("sha256:"):
                raise ValueError(f"file {file!r}")
    except (ValueError, KeyError, TypeError) as error:
        raise TrainError("BadDataset", f"{digest} is not an artifact's manifest: {error}") from None
    return dict(manifest)


def build_manifest(folder: Path, type: str, metadata: dict[str, Any]) -> dict[str, Any]:
    """Digests of a folder's files; the same bytes give the same manifest."""
    paths = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    files = [
        {"path": path, "digest": sha256_file(folder / path), "bytes": (folder / path).stat().st_size} for path in paths
    ]
    return {"version": 1, "type": type, "files": files, "metadata": metadata}


def manifest_digest(manifest: dict[str, Any]) -> str:
    return f"sha256:{hashlib.sha256(canonical_json(manifest).encode()).hexdigest()}"


def publish(
    controller: Controller | None, folder: Path, type: str, metadata: dict[str, Any], scratch: Path
) -> tuple[str, dict[str, Any]]:
    """(digest, manifest). Files go first and the manifest last: nobody sees half an artifact."""
    manifest = build_manifest(folder, type, metadata)
    if controller is None:
        return manifest_digest(manifest), manifest
    for file in manifest["files"]:
        controller.upload(folder / file["path"])
    return publish_manifest(controller, manifest, scratch), manifest


def publish_manifest(controller: Controller, manifest: dict[str, Any], scratch: Path) -> str:
    """The digest of an artifact whose files are stored already."""
    stored = controller.upload_bytes(canonical_json(manifest).encode(), scratch, "manifest.json")
    return str(stored["digest"])


def fetch(
    controller: Controller,
    digest: str,
    folder: Path,
    only: set[str] | None = None,
    *,
    missing: str = "BadDataset",
) -> dict[str, Any]:
    """The artifact's files (or those named), each checked; the manifest. `missing` is the code of the error if gone."""
    try:
        manifest = parse_manifest(controller.read(digest), digest)
        for file in manifest["files"]:
            if only is None or file["path"] in only:
                controller.download(file["digest"], folder / file["path"])
    except Refused as refusal:
        if refusal.status != 404:
            raise
        raise TrainError(missing, f"the artifact {digest} is gone, or this job's token may not read it") from None
    return manifest
