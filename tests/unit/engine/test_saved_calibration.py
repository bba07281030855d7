from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pgflow_stress.core.calibration import Calibration, Figure, Part, ratio
from pgflow_stress.engine.calibration.saved import host_key, last_calibration, save

HOST = {"name": "here", "cpu_model": "fast", "cpus_usable": [0, 1], "load_1m_before": 0.3}
POSTGRES = {"version": "18.6", "target": "given", "transport": "socket", "isolation": "clone"}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PGFLOW_STRESS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def document(at: str, **parts: Part) -> dict[str, Any]:
    return Calibration({}, at, 0.5, {}, {}, parts).as_json()


def test_what_was_saved_is_quoted_with_its_date() -> None:
    clock = Part({"read_cost_ns": Figure("ns", (3.0, 1.0, 2.0)), "x": Figure("ns", reason="no")})
    save("k", document("monday", clock=clock, recorder=Part({"r": ratio([3.0], [2.0])})))

    assert last_calibration("k") == {
        "clock": {"measured_at": "monday", "figures": {"read_cost_ns": 2.0, "x": None}},
        "recorder": {"measured_at": "monday", "figures": {"r": 1.5}},
    }


def test_a_measurement_that_was_left_out_or_failed_stays_as_it_was() -> None:
    save("k", document("monday", clock=Part({"c": Figure("ns", (1.0,))}), disk=Part({"d": Figure("ns", (1.0,))})))
    save("k", document("tuesday", clock=Part({"c": Figure("ns", (2.0,))}), disk=Part(reason="the server is gone")))

    found = last_calibration("k")

    assert found == {
        "clock": {"measured_at": "tuesday", "figures": {"c": 2.0}},
        "disk": {"measured_at": "monday", "figures": {"d": 1.0}},
    }


def test_where_nothing_was_measured_there_is_nothing_to_quote(cache: Path) -> None:
    save("k", document("monday", clock=Part(reason="failed")))

    assert last_calibration("k") is None
    assert not cache.exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"schema": "pgflow-stress/calibration/2", "measurements": {}}'])
def test_a_file_that_is_not_ours_is_as_good_as_none(cache: Path, text: str) -> None:
    cache.mkdir()
    (cache / "calibration-k.json").write_text(text)

    assert last_calibration("k") is None


def test_the_load_of_the_moment_and_the_isolation_do_not_change_the_key() -> None:
    key = host_key(HOST, POSTGRES, {"fsync": "on"})

    assert host_key({**HOST, "load_1m_before": 9.0}, {**POSTGRES, "isolation": "prefix"}, {"fsync": "on"}) == key


@pytest.mark.parametrize(
    ("host", "postgres", "settings"),
    [
        ({**HOST, "cpus_usable": [0]}, POSTGRES, {"fsync": "on"}),
        (HOST, {**POSTGRES, "version": "17.1"}, {"fsync": "on"}),
        (HOST, POSTGRES, {"fsync": "off"}),
    ],
)
def test_another_machine_server_or_setting_has_another_key(
    host: dict[str, Any], postgres: dict[str, Any], settings: dict[str, Any]
) -> None:
    assert host_key(host, postgres, settings) != host_key(HOST, POSTGRES, {"fsync": "on"})


def test_the_embedded_servers_place_is_a_part_of_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    embedded = {**POSTGRES, "target": "embedded"}
    monkeypatch.setenv("PGFLOW_STRESS_STATE", "/one/disk")
    key = host_key(HOST, embedded, {})
    monkeypatch.setenv("PGFLOW_STRESS_STATE", "/another/disk")

    assert host_key(HOST, embedded, {}) != key
