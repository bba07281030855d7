"""Texts of /proc, as kernels write them."""

from __future__ import annotations

import os

import psutil
import pytest

from pgflow_stress.core.units import NS_PER_MS, NS_PER_US
from pgflow_stress.engine import proc

STAT = (
    b"4242 (post) gres: (x) R 17 4242 4242 0 -1 4194304 500 0 7 0 120 30 40 5 20 0 1 0 100 230000000 2048 1844 1 1 0\n"
)
STATUS = (
    b"Name:\tpostgres\nVmHWM:\t   2048 kB\nVmRSS:\t 100 kB\n"
    b"voluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t3\n"
)


def test_a_commands_brackets_and_blanks_do_not_move_its_fields() -> None:
    found = proc.parse_stat(STAT)

    assert found.parent == 17
    assert (found.minor_faults, found.major_faults) == (500, 7)
    assert (found.user_ns, found.system_ns) == (120 * proc.TICK_NS, 30 * proc.TICK_NS)
    assert found.children_ns == 45 * proc.TICK_NS
    assert found.rss_bytes == 2048 * proc.PAGE_BYTES


def test_peak_and_switches_come_from_status_and_absent_ones_are_left_out() -> None:
    assert proc.parse_status(STATUS) == {"rss_peak_bytes": 2 << 20, "voluntary": 12, "involuntary": 3}
    assert proc.parse_status(b"Name:\tkthreadd\n") == {}


def test_numbers_with_a_name_are_read_in_bytes() -> None:
    text = b"55d0-7ffc ---p 00000000 00:00 0 [rollup]\nRss: 8 kB\nPss:  4 kB\nread_bytes: 4096\n"

    assert proc.parse_keyed(text) == {"Rss": 8192, "Pss": 4096, "read_bytes": 4096}


def test_pressure_is_the_time_that_was_lost_to_it() -> None:
    text = b"some avg10=0.00 avg60=1.50 avg300=0.2 total=1500\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=200\n"

    assert proc.parse_pressure(text) == {"some": 1500 * NS_PER_US, "full": 200 * NS_PER_US}


def test_a_core_is_busy_with_what_is_neither_idle_nor_waiting_nor_stolen() -> None:
    text = b"cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 300 1 50 700 30 2 10 20 7 0\ncpu1 0 0 0 5 0 0 0 0 0 0\nintr 1 2\n"

    assert proc.parse_cpus(text) == {
        "cpu0": (363 * proc.TICK_NS, 30 * proc.TICK_NS, 20 * proc.TICK_NS),
        "cpu1": (0, 0, 0),
    }


def test_a_disks_sectors_are_512_bytes_whatever_its_own_are() -> None:
    text = b" 254 0 vda 10 2 100 7 20 3 200 9 0 33 40 0 0 0 0\n"

    assert proc.parse_disks(text) == {"vda": (100 * 512, 200 * 512, 33 * NS_PER_MS)}


def test_a_file_is_read_anew_each_time_and_to_its_end() -> None:
    file = proc.ProcFile("/proc/self/smaps")
    try:
        assert file.read().count(b"VmFlags") > 20, "more than one page of it"
        assert b"Size:" in file.read()
    finally:
        file.close()


def test_our_own_readings_are_those_of_psutil() -> None:
    other = psutil.Process()

    found = proc.parse_stat(proc.read("/proc/self/stat") or b"")
    status = proc.parse_status(proc.read("/proc/self/status") or b"")

    assert found.parent == other.ppid() == os.getppid()
    assert found.rss_bytes == pytest.approx(other.memory_info().rss, rel=0.05)
    assert found.user_ns / 1e9 == pytest.approx(other.cpu_times().user, abs=0.2)
    assert status["voluntary"] == pytest.approx(other.num_ctx_switches().voluntary, abs=20)
    assert status["rss_peak_bytes"] >= found.rss_bytes * 0.95


def test_children_are_found_and_a_process_that_has_ended_has_none() -> None:
    assert proc.children(os.getpid()) == [child.pid for child in psutil.Process().children()]
    assert proc.children(2**22 + 1) == []
    assert proc.read(f"/proc/{2**22 + 1}/stat") is None
    assert not proc.reset_peak(2**22 + 1)
