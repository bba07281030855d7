"""Properties of what C computes, against Python that is read more easily."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pgflow_stress.core import hdr
from pgflow_stress.core.arena import LONGEST_NS, Word
from pgflow_stress.core.ids import RUN_INDEX_LIMIT, flow_slug_prefix, run_id, split_run_id
from pgflow_stress.core.operations import Operation, Status
from pgflow_stress.engine.driver import payload
from pgflow_stress.engine.private_books import new_region
from pgflow_stress.engine.processing import deal_flows
from pgflow_stress_hot.recorder import bucket_index
from pgflow_stress_hot.slugs import SlugTable

_NONCES = st.integers(0, (1 << 64) - 1)


@given(st.integers(0, (1 << 62) - 1))
def test_c_and_numpy_agree_on_the_bucket(value_ns: int) -> None:
    assert bucket_index(value_ns) == hdr.bucket_index([value_ns])[0]


@given(rows=st.integers(1, 20), events=st.lists(st.integers(0, LONGEST_NS), max_size=60))
def test_every_event_is_written_or_counted_as_left_out(rows: int, events: list[int]) -> None:
    private = new_region(rows)

    for latency_ns in events:
        private.region.record(Operation.COMPLETE, Status.OK, 0, latency_ns)

    assert private.words[Word.ROWS] + private.words[Word.ROWS_LEFT_OUT] == len(events)
    assert private.stats[Operation.COMPLETE].tolist()[:3] == [len(events), sum(events), max(events, default=0)]
    expected = np.bincount(hdr.bucket_index(events), minlength=1) if events else np.zeros(1)
    assert private.counts[Operation.COMPLETE][: len(expected)].tolist() == expected.tolist()


@given(_NONCES, st.integers(0, RUN_INDEX_LIMIT - 1))
def test_a_run_id_says_whose_it_is(nonce: int, index: int) -> None:
    value = run_id(nonce, index)

    assert split_run_id(value) == (nonce, index)
    assert value.version == 8


@given(_NONCES)
def test_flow_slugs_fit_into_a_queue_name(nonce: int) -> None:
    prefix = flow_slug_prefix(nonce)

    assert prefix == prefix.lower()
    assert len(prefix) + len("f19999") <= 47


@given(st.lists(st.binary(min_size=1, max_size=12), min_size=1, max_size=50, unique=True), st.binary(max_size=12))
def test_each_name_is_found_at_its_place_and_no_other_is(names: list[bytes], other: bytes) -> None:
    table = SlugTable(names)

    assert [table.find(name) for name in names] == list(range(len(names)))
    assert other in names or table.find(other) == -1


@given(workers=st.integers(1, 12), flows=st.integers(1, 40))
def test_every_flow_is_somebodys_own_and_everybody_can_help(workers: int, flows: int) -> None:
    dealt = [deal_flows(slot, workers, flows) for slot in range(workers)]

    assert all(sorted(queues.tolist()) == list(range(flows)) for queues, _ in dealt)
    assert {flow for queues, own in dealt for flow in queues[:own].tolist()} == set(range(flows))


@given(st.integers(2, 10_000))
def test_a_payload_has_the_bytes_asked_for(size_bytes: int) -> None:
    body = payload(size_bytes)

    assert body[:1] == b"\x01"
    assert len(body) - 1 == (size_bytes if size_bytes >= 8 else 2)
