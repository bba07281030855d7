"""The last calibration of a machine and server, kept in the cache so that a result's fingerprint can quote it."""

from __future__ import annotations

import calendar
import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pgflow_stress.core.calibration import SCHEMA
from pgflow_stress.core.paths import cache_dir, state_dir
from pgflow_stress.core.result import Json

# What makes a machine's ceilings its own; its load of the moment does not.
_HOST_KEYS = ("name", "architecture", "cpu_model", "cpus_usable", "cpu_quota", "memory_bytes", "kernel")
_SESSION_LASTS_SECONDS = 90 * 24 * 3600
_MOST_SESSIONS = 40
_POSTGRES_KEYS = ("version", "target", "transport", "server_is_local", "tls")


def host_key(machine: Mapping[str, Any], postgres: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """Names a machine with a server of these settings; the embedded server's place is a part of it, for its disk.

    Args:
        machine: engine.host.host().
        postgres: Fingerprint.postgres.
        settings: Fingerprint.settings.
    """
    place = str(state_dir().absolute()) if postgres.get("target") == "embedded" else None
    parts = [
        {name: machine.get(name) for name in _HOST_KEYS},
        {name: postgres.get(name) for name in _POSTGRES_KEYS},
        dict(settings),
        place,
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def last_calibration(key: str) -> Json | None:
    """What `calibrate` last found here, in brief: for each measurement when, and the headline of each figure.

    Returns:
        {name: {measured_at, figures: {name: number or None}}}; None where nothing was measured.
    """
    document = _load(_path(key))
    if document is None:
        return None
    return {
        name: {
            "measured_at": part["measured_at"],
            "figures": {one: found.get("of_medians", found["median"]) for one, found in part["figures"].items()},
        }
        for name, part in document["measurements"].items()
    }


def save(key: str, document: Mapping[str, Any]) -> None:
    """Keep a calibration; measurements that it lacks or that failed stay as they were.

    Raises:
        OSError: the cache cannot be written.
    """
    path = _path(key)
    before = _load(path)
    kept: Json = before["measurements"] if before else {}
    for name, part in document["measurements"].items():
        if part["reason"] is None:
            kept = {**kept, name: {**part, "measured_at": document["measured_at"]}}
    if not kept:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps({"schema": SCHEMA, "measurements": kept}, allow_nan=False), encoding="utf-8")
    fresh.replace(path)


def kept_sessions(key: str, job: str, now: float) -> list[Json]:
    """Sessions of the same job that are kept of a machine and server, oldest first; those of long ago are left out.

    Args:
        key: host_key().
        job: what each session ran.
        now: seconds since the epoch.
    """
    document = _load(_path(key)) or {"measurements": {}}
    try:
        found = document["measurements"]["noise"]["facts"]["sessions"]
        fresh = [one for one in found if one["job"] == job and _age_seconds(one["at"], now) <= _SESSION_LASTS_SECONDS]
    except (KeyError, TypeError, ValueError):
        return []
    return fresh[-(_MOST_SESSIONS - 1) :]


def kept_noise(key: str) -> Json | None:
    """What is kept of the noise between sessions here; None where nothing is."""
    document = _load(_path(key))
    part: Json | None = document["measurements"].get("noise") if document else None
    return part


def save_noise(key: str, part: Json) -> None:
    """Keep the noise with the sessions that it is of.

    Raises:
        OSError: the cache cannot be written.
    """
    save(key, {"measured_at": part["measured_at"], "measurements": {"noise": part}})


def _age_seconds(at: str, now: float) -> float:
    return now - calendar.timegm(time.strptime(at, "%Y-%m-%dT%H:%M:%SZ"))


def _path(key: str) -> Path:
    return cache_dir() / f"calibration-{key}.json"


def _load(path: Path) -> Json | None:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["schema"] != SCHEMA or not all(
            part["measured_at"] and isinstance(part["figures"], dict) for part in document["measurements"].values()
        ):
            return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # absent, cut short or of another version: as good as none
    assert isinstance(document, dict)
    return document
