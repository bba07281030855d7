"""What is fuzzed: each target takes any bytes and raises where something does not hold; each has seeds to begin."""

from __future__ import annotations

import contextlib
import os
import re
import struct
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for tests/, whose builders are used

from pgflow_stress.core.libpq import choose

choose(embedded=True, wants_tls=False)

import numpy as np  # noqa: E402

from pgflow_stress.core import hdr  # noqa: E402
from pgflow_stress.core.arena import EventBit, Word  # noqa: E402
from pgflow_stress.core.errors import UsageFault  # noqa: E402
from pgflow_stress.core.recording import Histogram  # noqa: E402
from pgflow_stress.core.result import to_json  # noqa: E402
from pgflow_stress.report.histograms import Interval, SparseHistogram, read_log, write_log  # noqa: E402
from pgflow_stress.report.result_file import dump, read_result  # noqa: E402
from pgflow_stress.scenario.file_format import parse  # noqa: E402
from pgflow_stress.scenario.flow import independent_steps  # noqa: E402
from pgflow_stress.target.flow_file import calls_of  # noqa: E402
from pgflow_stress_hot.pgoutput import Stream  # noqa: E402
from pgflow_stress_hot.texts import field_of, int_of, uuid_bytes  # noqa: E402
from pgflow_stress_hot.wire import decode_array, encode_array  # noqa: E402
from tests.fixtures.results import build_result  # noqa: E402
from tests.unit.ext import test_pgoutput as streams  # noqa: E402
from tests.unit.ext.event_books import EventBooks, new_event_books  # noqa: E402

_UUID = re.compile(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DIGITS = re.compile(rb"[0-9]{1,18}")
_CUT = b"\xfe\xed"  # between two messages of one input
_MOST_MESSAGES = 64
_WORD = 1 << 63


@dataclass(frozen=True)
class Target:
    """Something that takes bytes of others."""

    take: Callable[[bytes], None]
    seeds: tuple[bytes, ...]


_books: list[EventBooks] = []


def _fresh_books() -> EventBooks:
    """One for all inputs, emptied: to make one costs more than an input."""
    if not _books:
        _books.append(new_event_books(independent_steps(3)))
    books = _books[0]
    for array in (books.words, books.stats, books.received, books.runs):
        array[:] = 0
    books.strays.view(np.uint8)[:] = 0
    return books


def pgoutput(data: bytes) -> None:
    """A stream of messages: each is booked, passed over or said to be broken, and the books add up."""
    books = _fresh_books()
    stream = Stream(books.book, streams.MARKER, 0, 0, 0)
    messages = data.split(_CUT)[:_MOST_MESSAGES]
    for number, message in enumerate(messages):
        heard = stream.take(message, number)
        assert heard in (0, 1, 2, 3), heard
    words = books.words
    received, strays, foreign = (int(words[w]) for w in (Word.RECEIVED, Word.RECEIVED_STRAY, Word.RECEIVED_FOREIGN))
    assert 0 <= received + strays + foreign <= len(messages), (received, strays, foreign)
    assert int((books.received & EventBit.COUNT).sum()) <= received
    assert int(books.strays["count"].sum()) + int(words[Word.STRAYS_LEFT_OUT]) == strays
    assert -_WORD <= stream.confirmed_lsn < _WORD


def stored(data: bytes) -> None:
    """A piece of a COPY of events: whole rows are counted, the rest is left."""
    books = _fresh_books()
    counts = np.zeros(books.received.size, dtype=np.uint8)
    used, foreign, strays = books.book.count_stored(data, counts)
    assert 0 <= used <= len(data)
    assert int(counts.sum()) + foreign + len(strays) <= used // 10
    again, *_ = books.book.count_stored(data[used:], counts)
    assert again == 0, "all whole rows at once"


def texts(data: bytes) -> None:
    """uuid, integer and composite values in text, against Python's own reading."""
    assert (uuid_bytes(data) is not None) == bool(_UUID.fullmatch(data))
    assert int_of(data) == (int(data) if _DIGITS.fullmatch(data) else -1)
    for number in range(4):
        found = field_of(data, number)
        assert found is None or found in data


def arrays(data: bytes) -> None:
    """An array in PostgreSQL's binary format, against a reading of it in Python."""
    assert decode_array(data) == _elements(data)


def _elements(data: bytes) -> list[bytes]:
    found: list[bytes] = []
    if len(data) < 20 or struct.unpack(">i", data[:4])[0] != 1:
        return found
    left, at = struct.unpack(">i", data[12:16])[0], 20
    while left > 0 and at + 4 <= len(data):
        length = struct.unpack(">i", data[at : at + 4])[0]
        if length < 0 or at + 4 + length > len(data):
            break
        found.append(data[at + 4 : at + 4 + length])
        at += 4 + length
        left -= 1
    return found


def _in_a_file(data: bytes, suffix: str, read: Callable[[Path], object]) -> None:
    path = Path(tempfile.gettempdir()) / f"pgs-fuzz-{os.getpid()}{suffix}"
    path.write_bytes(data)
    try:
        read(path)
    except UsageFault as fault:
        assert "\n" not in str(fault), fault
    finally:
        path.unlink(missing_ok=True)


def result(data: bytes) -> None:
    """A result file: read, or refused in words."""
    _in_a_file(data, ".json", read_result)


def log(data: bytes) -> None:
    """An HdrHistogram log: read, or refused in words; what was read is written and read as the same."""

    def read(path: Path) -> None:
        for operation, histograms in read_log(path).items():
            for histogram in histograms:
                if operation and histogram.count > 0 and (histogram.counts >= 0).all():
                    _require_same(operation, histogram)

    _in_a_file(data, ".hlog", read)


def _require_same(operation: str, histogram: Histogram) -> None:
    path = Path(tempfile.gettempdir()) / f"pgs-fuzz-{os.getpid()}-again.hlog"
    try:
        with path.open("w", encoding="utf-8") as stream:
            write_log(stream, [Interval("task", 10**18, 1.0, SparseHistogram.of(histogram))])
        again = read_log(path)["task"][0]
        assert again.counts.tolist() == histogram.counts.tolist(), operation
    finally:
        path.unlink(missing_ok=True)


def scenario(data: bytes) -> None:
    """A scenario file as TOML with its places: parsed, or refused in words."""
    with contextlib.suppress(UsageFault):
        parse("x.toml", data)


def flow(data: bytes) -> None:
    """A flow's migration: cut into calls, or refused in words; nothing else gets through."""
    text = data.decode("utf-8", errors="replace")
    with contextlib.suppress(UsageFault):
        for call in calls_of("x.sql", text):
            assert call.text in text
            assert call.call in ("create_flow", "add_step")


def _log_seed() -> bytes:
    counts = np.bincount(hdr.bucket_index([5, 1_000, 70_000, 10**9])).astype(np.int64)
    histogram = Histogram(counts, 4, 4, 10**9, 10**9)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "log")
        with path.open("w", encoding="utf-8") as stream:
            write_log(stream, [Interval("task", 10**18, 1.0, SparseHistogram.of(histogram))])
        return path.read_bytes()


_MESSAGES = (
    streams.relation(), streams.begin(100), streams.insert(0, "run:started"), streams.insert(1, "step:s0:started"),
    streams.insert(3, "step:what:ever"), streams.commit(100, 140), streams.keepalive(500, asked=True),
    streams.message(streams.MARKER + b"12"),
)  # fmt: skip

TARGETS = {
    "pgoutput": Target(pgoutput, (*_MESSAGES, _CUT.join(_MESSAGES))),
    "stored": Target(
        stored,
        tuple(struct.pack(">hi", 2, len(t)) + t + struct.pack(">i", len(e)) + e
              for t in (b"pgflow:run:" + b"0" * 36, b"") for e in (b"run:started", b"")),
    ),
    "texts": Target(texts, (b"00000000-0000-0000-0000-000000000001", b"123", b'(flow,"a,b",s1,,0,completed)')),
    "arrays": Target(arrays, (encode_array(23, [1, 2, 3]), encode_array(25, [b"a", b""]), encode_array(20, []))),
    "result": Target(result, (dump(to_json(build_result())).encode(), b"[]", b'{"schema": "pgflow-stress/index/1"}')),
    "log": Target(log, (_log_seed(),)),
    "scenario": Target(
        scenario, (b"scenario = 'chain'\n[options]\nworkers = 2\n", b"[[mix]]\nscenario = 'fan'\nweight = 1.5\n")
    ),
    "flow": Target(
        flow, (b"SELECT pgflow.create_flow('a'); SELECT pgflow.add_step('a', 'b', ARRAY['c']); -- $x$ /* */",)
    ),
}  # fmt: skip
