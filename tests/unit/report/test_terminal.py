from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from pgflow_stress.core.phase import nothing
from pgflow_stress.core.result import Check, Incident, Latency, Result
from pgflow_stress.report.terminal import render_summary
from tests.fixtures.hostile import CONTROLS, hostile_result
from tests.fixtures.results import (
    build_baseline,
    build_observed,
    build_observed_result,
    build_repetition,
    build_result,
    flooded,
    lossy,
    quick_look,
    with_outcome,
)
from tests.fixtures.telemetry import telemetry_of
from tests.fixtures.windows import build_window, steadily


def shown(result: Result, encoding: str = "utf-8", where: str | None = None) -> str:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    render_summary(result, Console(file=stream, width=80), where)
    stream.flush()
    return raw.getvalue().decode(encoding)


def one_run() -> Result:
    failed = Check("every message is archived", False, 0, 3, tuple(f"run 0 step {i}" for i in range(5)))
    lost = Incident("worker lost", 10**9, "worker 2", "killed by signal 9, replaced")
    repetition = build_repetition(1, tasks=500, completed=480, runs=1, failed_check=failed, incidents=[lost])
    result = build_result([repetition], name="single-flow", parameters={"runs": 1, "flows": 1, "steps": 500})
    return with_outcome(result, 4, "3 messages left", codes=[4, 124])


def lossy_and_flooded() -> Result:
    result = with_outcome(build_observed_result(lossy(1), flooded(2)), 4, "5 events missing")
    cost = {"process.per_second": {"ratio": 0.968, "ci95": [0.947, 0.989], "n": 5}}
    return replace(result, outcome={**result.outcome, "observer_cost": cost})


@pytest.mark.parametrize(
    "result",
    [build_result(), quick_look(), one_run(), build_observed_result()],
    ids=["valid", "quick look", "failed", "observed"],
)
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_every_summary_fits_eighty_columns_and_a_screen(result: Result, encoding: str) -> None:
    lines = shown(result, encoding).splitlines()

    assert max(map(len, lines)) <= 80
    assert len(lines) <= 42


def test_a_valid_result_says_so_first_then_how_fast_with_its_interval() -> None:
    text = shown(build_result(), where="./here")

    order = [
        "valid",
        "how fast",
        "execute",
        "cycle time",
        "limited by",
        "accounted for",
        "read it as",
        "ended",
        "./here",
    ]
    assert [text.index(word) for word in order] == sorted(text.index(word) for word in order)
    assert "± 2 %" in text
    assert "80,000 of 80,000 tasks completed" in text
    assert "audit ok: 8 checks in 4 repetitions" in text


def test_the_five_questions_are_answered_in_order_whatever_else_is_said() -> None:
    lost = Incident("worker lost", 10**9, "worker 2", "killed by signal 9, replaced")
    window = replace(lossy(1), telemetry=telemetry_of(), incidents=(lost,))
    result = with_outcome(build_observed_result(window, window), 4, "5 events missing")
    cost = {"process.per_second": {"ratio": 0.97, "ci95": [0.95, 0.99], "n": 5}}
    more = {
        "observer_cost": cost,
        "telemetry_cost": cost,
        "gates": [{"text": "process.per_second>1", "held": True}],
        "client_probe": {
            "metric": "process.per_second",
            "verdict": ["the client does not hold the rate"],
            "more_client_cost": {"added_share": 0.1, "ratio": 1.0, "ci95": [0.99, 1.01], "n": 5},
            "one_more_worker": {"ratio": 1.0, "ci95": [0.99, 1.01], "n": 5},
        },
    }

    text = shown(replace(result, outcome={**result.outcome, **more}), where="./here")

    questions = {
        "is it valid": ["not valid"],
        "how fast": ["how fast", "latency", "where it went"],
        "what limited it": ["limited by", "client probe", "used", "observer costs", "sampling costs"],
        "was anything lost": ["accounted for", "schedule", "events", "incidents"],
        "what to try next": ["read it as", "thresholds", "try next", "ended", "result"],
    }
    order = [word for words in questions.values() for word in words]
    said = [word for line in text.splitlines() if (word := line[:15].strip()) in order]
    assert said == [word for word in order if word in said]
    assert set(order) - set(said) <= {"where it went", "schedule"}, "nothing else was left out of it"


def test_short_windows_are_called_a_quick_look_with_reasons_and_what_to_do() -> None:
    text = shown(quick_look())

    assert "quick look" in text
    assert "under 10 s: process 0.8 s" in text
    assert "pgflow-stress run concurrent-flows --scale 15" in text
    assert "* not to be relied on" in text


def test_labels_say_what_the_numbers_do_not_carry_to() -> None:
    text = " ".join(shown(build_result()).split())

    assert "fresh database: expect less in production" in text
    assert "not what pgflow's own worker does" in text
    assert "co-located" in text
    assert "time in a drained backlog" in text


def test_a_database_in_use_and_single_completions_have_no_such_labels() -> None:
    text = shown(build_result(parameters={"isolation": "prefix", "completion": "single"}))

    assert "fresh database" not in text
    assert "own worker" not in text


def test_what_was_lost_is_shown_with_the_first_offenders_and_every_exit_code() -> None:
    text = " ".join(shown(one_run()).split())

    assert "not valid" in text
    assert "480 of 500 tasks completed, 20 unfinished" in text
    assert "audit FAILED: 1 of 3 checks" in text
    assert "run 0 step 0, run 0 step 1, run 0 step 2, …" in text
    assert "worker lost worker 2 killed by signal 9" in text
    assert "exit code 4 (a check failed); also 124 (a time-out or stall, work unfinished)" in text


def test_one_run_explains_why_workers_do_not_help() -> None:
    assert "its tasks serialise on its pgflow.runs row" in " ".join(shown(one_run()).split())


def test_a_busy_client_is_named_as_what_limits() -> None:
    repetitions = [build_repetition(i, process_seconds=12) for i in (1, 2, 3)]
    busy = [replace(r, client={**r.client, "utilization": 0.97}) for r in repetitions]

    assert "limited by     the client (workers were on CPU 97 %" in shown(build_result(busy))


def test_outcomes_that_do_not_add_up_are_shouted() -> None:
    repetition = build_repetition(1)
    torn = replace(repetition, tasks=replace(repetition.tasks, completed=19_999))

    assert "DOES NOT ADD UP" in shown(build_result([torn]))


def test_nothing_counted_is_said_and_not_a_table_of_dashes() -> None:
    text = shown(build_result([build_repetition(0, warmup=True)]))

    assert "nothing was completed in a counted repetition" in text


def test_thresholds_say_what_became_of_them() -> None:
    result = build_result()
    gates = [{"text": "process.per_second>1", "held": True}, {"text": "process.per_second>1G", "held": None}]

    text = shown(replace(result, outcome={**result.outcome, "gates": gates}))

    assert "process.per_second>1: held" in text
    assert "process.per_second>1G: undecided" in text


def test_ascii_streams_get_ascii_and_no_question_marks() -> None:
    text = shown(one_run(), "ascii") + shown(build_result(), "ascii")

    assert "+/- 2 %" in text
    assert "?" not in text


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_what_went_wrong_with_events_fits_eighty_columns_too(encoding: str) -> None:
    text = shown(lossy_and_flooded(), encoding)

    assert max(map(len, text.splitlines())) <= 80
    assert "?" not in text


def test_without_an_observer_nothing_is_said_of_events() -> None:
    assert "events" not in shown(build_result())


def test_events_are_one_line_of_counts_and_delivery() -> None:
    text = " ".join(shown(build_observed_result(build_observed(1), build_observed(2))).split())

    assert "events wal: 2,400 expected, 2,400 stored, 2,400 received; delivery p50" in text
    assert re.search(r"delivery p50 1\.\d+ ms, p99 \d\.\d+ ms from the call", text)


def test_what_differs_is_named_with_its_first_offenders_and_a_flood_is_called_one() -> None:
    text = " ".join(shown(lossy_and_flooded()).split())

    assert "5,615 received, 5 missing" in text
    assert "stored but not received: 5 in repetition 1: run-0 step:s1:completed, run-1" in text
    assert "run-2 step:s1:completed, … " in text
    assert "flood: events piled up at the observer: 3,120 pending at the window's end" in text
    assert "observer slowed by 10 ms an event" in text


def test_too_few_statements_for_a_percentile_leave_the_longest_delivery() -> None:
    repetition = build_observed(1)
    few = Latency(count=242, samples=7, mean=2e6, max=21_000_000)
    deliver = replace(repetition.phases["deliver"], latency_ns=few)
    few_samples = replace(repetition, phases={**repetition.phases, "deliver": deliver})

    text = " ".join(shown(build_observed_result(few_samples)).split())

    assert "received; delivery at most 21.0 ms from the call" in text
    assert "has a value in 0" not in text


def test_where_nothing_came_nothing_is_said_of_delivery() -> None:
    repetition = build_observed(1)
    silent = {**repetition.events, "stored": {}, "received": {}, "missing": 1_200}
    silenced = replace(repetition, events=silent, phases={**repetition.phases, "deliver": nothing()})

    text = " ".join(shown(build_observed_result(silenced)).split())

    assert "0 stored, 0 received, 1,200 missing" in text
    assert "delivery" not in text
    assert "has a value in 0" not in text


def test_events_that_could_not_be_accounted_for_are_not_passed_off_as_none() -> None:
    repetition = build_observed(2)
    unknown = {"accounted": False, "expected": {}, "stored": {}, "received": {}}
    torn = replace(repetition, events={**repetition.events, **unknown})

    assert "not accounted for in repetition 2" in shown(build_observed_result(build_observed(1), torn))


def test_what_observing_costs_is_told_with_its_interval_and_pairs() -> None:
    text = " ".join(shown(lossy_and_flooded()).split())

    assert "observer costs process.per_second -3.2 % (95 %: -5.3 % to -1.1 %) of 5 pairs of repetitions" in text


@pytest.mark.parametrize(
    ("cost", "told"),
    [
        (
            {"ratio": 0.968, "ci95": [0.9, 1.1], "n": 2},
            "-3.2 % (95 %: -10.0 % to +10.0 %): no difference shown of 2 pairs",
        ),
        ({"ratio": 0.968, "ci95": None, "n": 1}, "process.per_second -3.2 %, no interval of 1 pair of"),
        ({"ratio": None, "ci95": None, "n": 0}, "cannot tell: no counted repetition has one without the observer"),
    ],
)
def test_a_cost_claims_no_more_than_was_measured(cost: dict[str, object], told: str) -> None:
    result = build_observed_result(outcome={"observer_cost": {"process.per_second": cost}})

    assert told in " ".join(shown(result).split())


def test_repetitions_without_the_observer_are_named_in_the_setting() -> None:
    text = " ".join(shown(build_observed_result(build_observed(1), build_baseline(2))).split())

    assert "1 repetition counted of 2, 1 without the observer" in text


def test_no_color_and_a_file_get_no_escape_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    assert "\x1b" not in shown(one_run())


def test_text_of_others_is_never_read_as_markup() -> None:
    incident = Incident("server said", 5, "[bold red]x[/]", "[/nonsense]")

    assert "[bold red]x[/] [/nonsense]" in " ".join(
        shown(build_result([build_repetition(1, incidents=[incident])])).split()
    )


def test_a_steady_rate_stands_below_the_whole_and_is_marked_where_it_is_invalid() -> None:
    valid, drifting = (
        shown(build_result([build_window(i, pace=pace) for i in (1, 2, 3)]))
        for pace in (steadily, lambda at: 1 - 0.3 * at)
    )

    assert re.search(r"process +\d+ tasks/s .*\n *steady +\d+ tasks/s .*1[12]\.\d+ s", valid)
    assert re.search(r"steady +\d+ tasks/s\*", drifting)
    assert "not stationary: the rate changes by -" in drifting


def test_exhausted_cores_are_named_as_what_limits() -> None:
    text = " ".join(shown(build_result([build_window(i, host={"busy_share": 0.99}) for i in (1, 2, 3)])).split())

    assert "limited by the CPU of this host: cores exhausted (workers were" in text
    assert "cores exhausted: those that client and server share were 99% busy" in text


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_text_of_others_sends_no_command_to_the_terminal(encoding: str) -> None:
    text = shown(hostile_result(), encoding)

    assert [character for character in CONTROLS if character in text] == []
    assert "\\x1b" in text
