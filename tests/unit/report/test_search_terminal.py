"""What a search found: its document and what a person reads of it."""

from __future__ import annotations

import io
import json
import math

from rich.console import Console

from pgflow_stress.analysis.backlog import Growth
from pgflow_stress.analysis.found import Found, Window
from pgflow_stress.analysis.holding import HoldRules, Seen, judge, parse_limit
from pgflow_stress.analysis.searching import Ended, Phase
from pgflow_stress.report.search_terminal import render_search

LIMIT = parse_limit("execute.latency_ns.p99<50ms")


def window(phase: Phase, rate: float, p99_ms: float, **changed: object) -> Window:
    values: dict[str, object] = {"growth": Growth(0.0, -0.1, 0.1), "late_share": 0.0, **changed}
    seen = Seen(rate, {LIMIT.metric: p99_ms * 1e6}, **values)  # type: ignore[arg-type]
    held = judge(seen, [LIMIT], HoldRules())
    return Window(phase, rate, 10.0, round(10 * rate), 7, "clone", 1.5, seen, held, f"01-{phase}")


def searched() -> Found:
    windows = [window(Phase.DOUBLING, 50, 12), window(Phase.DOUBLING, 100, 180)]
    windows += [window(Phase.PROBE, rate, 50 * (rate / 80) ** 4) for rate in (70, 90, 75, 85, 78, 82)]
    windows += [window(Phase.CONFIRM, 79.5, 48)] * 3
    return Found(tuple(windows), Ended.CONFIRMED, 79.5, 3)


def shown(found: Found, width: int = 100) -> str:
    stream = io.StringIO()
    render_search("concurrent-flows", [LIMIT], found, Console(file=stream, width=width, highlight=False))
    return stream.getvalue()


def test_the_answer_comes_first_then_the_path() -> None:
    text = shown(searched())

    assert "79.5 runs/s (238 tasks/s), held in 3 of 3 windows\n" in text
    assert "estimate      80.1 runs/s [95 %:" in text
    assert "79.5       10      48.0 ms         0.10  held" in text
    assert "limited by    execute.latency_ns.p99 was 55.2 ms, over 50.0 ms" in text
    assert text.index("answer") < text.index("doubling") < text.index("confirm")
    assert all(len(line) <= 70 for line in shown(searched(), 70).splitlines())


def test_the_document_is_strict_json_with_every_window() -> None:
    document = searched().as_json()

    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["answer"] == {
        "per_second": 79.5,
        "tasks_per_second": 238.5,
        "confirmed_in": [3, 3],
        "sure": True,
        "ended": "confirmed",
        "highest_held_per_second": 79.5,
    }
    low, high = document["estimate"]["ci95"]
    assert low < document["estimate"]["per_second"] < high
    assert document["path"][1]["reasons"] == ["execute.latency_ns.p99 was 180 ms, over 50.0 ms"]
    assert document["path"][1]["excess"] == math.log(180 / 50)
    assert document["path"][0]["backlog_growth"] == {"per_second": 0.0, "lower": -0.1, "upper": 0.1}


def test_where_nothing_holds_there_is_no_answer_and_it_says_why() -> None:
    found = Found((window(Phase.DOUBLING, 50, 90),), Ended.NOTHING_HOLDS, None, 3)

    assert "none: nothing holds at the lowest rate allowed" in shown(found)
    assert "estimate      none" in shown(found)
    assert found.as_json()["answer"]["per_second"] is None
    assert found.as_json()["estimate"] is None
    assert found.limited_by == ("execute.latency_ns.p99 was 90.0 ms, over 50.0 ms",)


def test_a_search_that_was_broken_off_says_what_held() -> None:
    found = Found((window(Phase.DOUBLING, 50, 10),), None, None, 3)

    assert "none: broken off; the highest rate that held in a window is 50.0 runs/s" in shown(found)
    assert not found.is_sure


def test_a_client_that_is_the_limit_is_named() -> None:
    windows = (window(Phase.DOUBLING, 50, 10), window(Phase.DOUBLING, 100, 90, late_share=0.5))
    found = Found((*windows, *[window(Phase.CONFIRM, 50, 10)] * 3), Ended.CLIENT_BOUND, 50, 3)

    assert "cannot tell what is above: the client is the limit" in " ".join(shown(found).split())
    assert "client-bound: sent late by ourselves" in found.limited_by[0]
