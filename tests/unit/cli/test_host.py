from __future__ import annotations

import json
import sys

import pytest

from pgflow_stress.engine.host import host_environment, parse_cpu_list


def test_the_fingerprint_is_json_and_knows_this_machine() -> None:
    environment = host_environment()

    assert json.loads(json.dumps(environment)) == environment
    assert environment["host"]["cpus"] >= len(environment["host"]["cpus_usable"]) >= 1
    assert environment["host"]["memory_bytes"] > 1 << 27
    assert environment["python"]["packages"]["click"]


def test_psycopg_is_not_imported_to_ask_for_its_libpq(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "psycopg", raising=False)

    assert host_environment()["python"]["libpq"] is None
    assert "psycopg" not in sys.modules


@pytest.mark.parametrize(("text", "cpus"), [("0", [0]), ("0-2,5", [0, 1, 2, 5]), ("1,3", [1, 3])])
def test_the_kernels_lists_of_cpus_are_read(text: str, cpus: list[int]) -> None:
    assert parse_cpu_list(text) == cpus
