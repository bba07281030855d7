from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pgflow_stress.core.calibration import Calibration, Figure, Part, ratio
from pgflow_stress.engine.calibration.saved import host_key, kept_sessions, last_calibration, save, save_noise

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


NOW = 1_795_000_000.0  # 2026-11-18


def noise_of(*days: str, job: str = "a job") -> dict[str, Any]:
    sessions = [{"at": f"{day}T00:00:00Z", "job": job, "values": {}} for day in days]
    figures = {"sessions": {"median": len(days)}, "execute.per_second": {"median": 0.03}}
    return {"measured_at": "today", "figures": figures, "facts": {"sessions": sessions}, "reason": None}


def test_noise_is_quoted_like_any_measurement_and_its_sessions_are_kept_beside() -> None:
    save("k", document("monday", clock=Part({"c": Figure("ns", (1.0,))})))
    save_noise("k", noise_of("2026-11-01", "2026-11-02"))

    found = last_calibration("k")

    assert found is not None
    assert found["noise"] == {"measured_at": "today", "figures": {"sessions": 2, "execute.per_second": 0.03}}
    assert found["clock"]["measured_at"] == "monday"
    assert [one["at"][:10] for one in kept_sessions("k", "a job", NOW)] == ["2026-11-01", "2026-11-02"]


def test_sessions_of_another_job_of_long_ago_or_of_no_date_are_left_out() -> None:
    save_noise("k", noise_of("2026-01-01", "2026-11-02"))

    assert [one["at"][:10] for one in kept_sessions("k", "a job", NOW)] == ["2026-11-02"]
    assert kept_sessions("k", "another", NOW) == []
    assert kept_sessions("other", "a job", NOW) == []
    save_noise("k", noise_of("some day"))
    assert kept_sessions("k", "a job", NOW) == []


def test_only_the_latest_sessions_are_kept() -> None:
    save_noise("k", noise_of(*[f"2026-10-{day:02d}" for day in range(1, 31)] * 2))

    assert len(kept_sessions("k", "a job", NOW)) == 39
