"""The course of a run, with an engine and a target that only say what they were asked."""

from __future__ import annotations

import contextlib
import errno
import json
import signal
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import pytest

from pgflow_stress.cli.main import run_command_line
from pgflow_stress.cli.running import place_of
from pgflow_stress.core.errors import Interrupted, RunFailed, SetUpFault
from pgflow_stress.core.exit_codes import ExitCode
from pgflow_stress.core.recording import Recording
from pgflow_stress.core.result import Repetition
from pgflow_stress.engine.measurement import Ending, Measurement
from pgflow_stress.scenario.options import RunOptions
from pgflow_stress.scenario.plan import Plan, make_plan
from pgflow_stress.target.base import Fingerprint
from tests.fixtures.results import build_recording, build_repetition

Behaviour = Callable[[Plan], tuple[Sequence[Repetition], Sequence[Ending]]]


def two_good_repetitions(_plan: Plan) -> tuple[Sequence[Repetition], Sequence[Ending]]:
    return [build_repetition(0, warmup=True), build_repetition(1), build_repetition(2)], []


class Stage:
    """Stands in for engine and target; keeps what happened, in order."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.behave: Behaviour = two_good_repetitions
        self.target_fault: Exception | None = None

    @contextlib.contextmanager
    def open_target(self, _options: object, _say: object) -> Iterator[object]:
        self.seen.append("open")
        if self.target_fault is not None:
            raise self.target_fault
        try:
            yield types.SimpleNamespace(fingerprint=lambda: Fingerprint(postgres={"version": "18.6"}))
        finally:
            self.seen.append("close")

    def engine(self) -> type:
        stage = self

        class FakeEngine:
            def __init__(self, plans: Sequence[Plan], _make_gate: object = None) -> None:
                stage.seen.append(f"fork for {len(plans)}")

            def __enter__(self) -> Self:
                return self

            def __exit__(self, *_: object) -> None:
                stage.seen.append("reap")

            def measure(
                self,
                plan: Plan,
                _target: object,
                record: Callable[[Recording], None],
                watch: Any,
                more: Callable[[Sequence[Repetition]], int] | None = None,
            ) -> Measurement:
                stage.seen.append(f"measure {plan.scenario}")
                watch.phase("process", plan.scenario, 0)
                repetitions, endings = stage.behave(plan)
                if more is not None:
                    stage.seen.append(f"{more(repetitions)} more")
                for repetition in repetitions:
                    record(build_recording(repetition.index, repetition.warmup))
                parameters = {**plan.parameters(), "isolation": "clone"}
                return Measurement(plan, tuple(repetitions), tuple(endings), parameters, (100, 100))

        return FakeEngine


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stage:
    made = Stage()
    engine, opening = types.ModuleType("engine"), types.ModuleType("opening")
    engine.Engine = made.engine()  # type: ignore[attr-defined]
    opening.open_target = made.open_target  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pgflow_stress.engine.engine", engine)
    monkeypatch.setitem(sys.modules, "pgflow_stress.target.opening", opening)
    monkeypatch.chdir(tmp_path)
    return made


def run(*arguments: str) -> int:
    return run_command_line(["run", *arguments])


def test_one_scenario_ends_in_a_directory_and_nothing_on_standard_output(
    stage: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run("single-flow", "--output", "out")

    shown = capsys.readouterr()
    document = json.loads((tmp_path / "out/result.json").read_text())
    assert code == 0
    assert stage.seen == ["fork for 1", "open", "measure single-flow", "close", "reap"]
    assert shown.out == ""
    assert "phase process single-flow 0\n" in shown.err
    assert document["scenario"]["parameters"]["steps"] == 800
    assert document["scenario"]["parameters"]["pgflow"] == "0.8.1"
    assert document["environment"]["host"]["memory_bytes"] > 0
    assert document["hosts"][0]["tasks"] == 200
    assert document["outcome"]["exit_code"] == 0


def test_the_stock_job_is_two_folders_and_an_index(stage: Stage, tmp_path: Path) -> None:
    assert run() == 0

    (made,) = (tmp_path / "pgflow-stress-results").iterdir()
    index = json.loads((made / "index.json").read_text())
    assert made.name.endswith("Z-single-flow+concurrent-flows")
    assert [entry["path"] for entry in index["results"]] == ["01-single-flow", "02-concurrent-flows"]
    assert stage.seen == ["fork for 2", "open", "measure single-flow", "measure concurrent-flows", "close", "reap"]


def test_json_alone_writes_no_directory_and_standard_output_is_nothing_but_data(
    stage: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("single-flow", "--json", "-") == 0
    assert json.loads(capsys.readouterr().out)["schema"] == "pgflow-stress/result/1"

    assert run("--json", "-") == 0
    assert [one["scenario"]["name"] for one in json.loads(capsys.readouterr().out)] == [
        "single-flow",
        "concurrent-flows",
    ]

    assert run("single-flow", "--json", "r.json", "--output", "out") == 0
    assert json.loads((tmp_path / "r.json").read_text()) == json.loads((tmp_path / "out/result.json").read_text())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "r.json"]


def test_the_json_document_may_lie_in_the_result_directory(stage: Stage, tmp_path: Path) -> None:
    assert run("single-flow", "--output", "out", "--json", "out/all.json") == 0
    assert (tmp_path / "out/all.json").is_file()

    assert run("single-flow", "--output", "other", "--json", "absent/all.json") == 2
    assert not (tmp_path / "other").exists()


def test_a_json_path_that_is_a_device_is_written_to_and_not_replaced(stage: Stage) -> None:
    assert run("single-flow", "--json", "/dev/null") == 0
    assert Path("/dev/null").is_char_device()


def test_a_link_goes_on_naming_the_file_that_is_written(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "link.json").symlink_to("real.json")

    assert run("single-flow", "--json", "link.json") == 0
    assert (tmp_path / "link.json").is_symlink()
    assert json.loads((tmp_path / "real.json").read_text())["scenario"]["name"] == "single-flow"


@pytest.mark.parametrize("arguments", [("--output", "/proc/nowhere"), ("--json", "absent/r.json"), ("--json", ".")])
def test_output_that_cannot_be_written_is_refused_before_anything_is_touched(
    stage: Stage, arguments: tuple[str, str]
) -> None:
    assert run("single-flow", *arguments) == 2
    assert stage.seen == []


def test_a_directory_that_holds_a_result_is_not_written_over(stage: Stage) -> None:
    assert run("single-flow", "--output", "out") == 0
    assert run("single-flow", "--output", "out") == 2
    assert stage.seen.count("open") == 1


def test_a_threshold_that_does_not_hold_is_6_and_is_in_the_result(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(
        "single-flow", "--json", "-", "--threshold", "process.per_second>1e9", "--threshold", "create.per_second>1"
    )

    shown = capsys.readouterr()
    outcome = json.loads(shown.out)["outcome"]
    assert code == 6
    assert outcome["codes"] == [6]
    assert [gate["held"] for gate in outcome["gates"]] == [False, True]
    assert "process.per_second>1e9" in shown.err


def test_a_bad_threshold_is_refused_before_anything_is_touched(stage: Stage, tmp_path: Path) -> None:
    assert run("single-flow", "--threshold", "nonsense>1") == 2
    assert stage.seen == []
    assert list(tmp_path.iterdir()) == []


def test_strict_makes_an_invalid_measurement_5_and_without_it_is_0(stage: Stage) -> None:
    def short(_plan: Plan) -> tuple[Sequence[Repetition], Sequence[Ending]]:
        return [build_repetition(index, process_seconds=0.2) for index in range(3)], []

    stage.behave = short

    assert run("single-flow", "--json", "r.json") == 0
    assert run("single-flow", "--json", "r.json", "--strict") == 5


def test_the_worst_code_of_all_scenarios_is_the_one_to_end_with(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    def uneven(plan: Plan) -> tuple[Sequence[Repetition], Sequence[Ending]]:
        code = ExitCode.TIMED_OUT if plan.scenario == "single-flow" else ExitCode.CHECK_FAILED
        return [build_repetition(1)], [Ending(code, f"{plan.scenario} went wrong")]

    stage.behave = uneven

    assert run() == 4
    assert "exit code 4 over all: single-flow 124, concurrent-flows 4" in capsys.readouterr().err
    assert "measure concurrent-flows" in stage.seen


@pytest.mark.parametrize("code", [ExitCode.INTERRUPTED, ExitCode.RUN_FAILED])
def test_after_an_interrupt_or_a_failure_no_other_scenario_is_begun_and_what_was_measured_is_written(
    stage: Stage, capsys: pytest.CaptureFixture[str], code: ExitCode
) -> None:
    stage.behave = lambda _plan: ([build_repetition(1, interrupted=True, completed=10)], [Ending(code, "so it ended")])

    assert run("--json", "-") == code
    assert stage.seen == ["fork for 2", "open", "measure single-flow", "close", "reap"]
    shown = capsys.readouterr()
    assert [one["repetitions"][0]["interrupted"] for one in json.loads(shown.out)] == [True]
    assert "so it ended" in shown.err


def test_with_nothing_measured_nothing_is_written_but_the_reason(
    stage: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.behave = lambda _plan: ([], [Ending(ExitCode.INTERRUPTED, "interrupted before the first repetition")])

    assert run("single-flow", "--output", "deep/out") == 130
    assert run() == 130
    assert run("single-flow", "--json", "r.json") == 130
    assert list(tmp_path.iterdir()) == []
    assert "pgflow-stress: interrupted before the first repetition\n" in capsys.readouterr().err


@pytest.mark.parametrize(("fault", "code"), [(SetUpFault("cannot connect"), 3), (Interrupted("interrupted"), 130)])
def test_a_fault_of_the_target_is_one_line_with_its_code(
    stage: Stage, capsys: pytest.CaptureFixture[str], fault: Exception, code: int
) -> None:
    stage.target_fault = fault

    assert run("single-flow") == code
    assert stage.seen == ["fork for 1", "open", "reap"]
    assert capsys.readouterr().err == f"pgflow-stress: {fault}\n"


def test_a_bug_in_the_second_scenario_does_not_cost_the_first_ones_result(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def buggy(plan: Plan) -> tuple[Sequence[Repetition], Sequence[Ending]]:
        if plan.scenario == "concurrent-flows":
            raise ZeroDivisionError
        return two_good_repetitions(plan)

    stage.behave = buggy
    monkeypatch.setenv("PGFLOW_STRESS_CACHE", str(tmp_path / "cache"))

    assert run("--json", "-") == 1
    shown = capsys.readouterr()
    assert len(json.loads(shown.out)) == 1
    assert "Traceback" not in shown.err


@pytest.mark.parametrize(("signals", "written"), [(1, True), (2, False)])
def test_the_first_signal_while_results_are_written_waits_and_the_second_does_not(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signals: int, written: bool
) -> None:
    def struck(*_arguments: object) -> None:
        for _ in range(signals):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("os.fsync", struck)

    code = run("concurrent-flows", "single-flow", "--output", "out", "--quiet")

    assert code == 130
    assert "measure single-flow" not in stage.seen
    assert (tmp_path / "out/01-concurrent-flows/result.json").is_file() is written


def test_quiet_leaves_only_what_went_wrong(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("single-flow", "--quiet", "--json", "r.json") == 0
    assert capsys.readouterr() == ("", "")

    assert run("single-flow", "--quiet", "--json", "r.json", "--threshold", "process.per_second>1e9") == 6
    assert capsys.readouterr().err.startswith("pgflow-stress: threshold process.per_second>1e9 did not hold")


def test_a_result_directory_that_fills_up_is_1_and_the_summary_says_so(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise RunFailed("out/report.html could not be written: No space left on device")

    monkeypatch.setattr("pgflow_stress.report.directory.ResultDirectory.finish", full)

    assert run("single-flow", "--output", "out", "--json", "-") == 1
    shown = capsys.readouterr()
    assert json.loads(shown.out)["outcome"]["exit_code"] == 1
    assert "exit code 1" in shown.err
    assert "exit code 0" not in shown.err


def test_a_full_disk_is_1_with_one_line(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)

    assert run("single-flow", "--quiet", "--json", "r.json") == 1
    said = capsys.readouterr().err
    assert said.startswith("pgflow-stress: ")
    assert said.endswith("r.json could not be written: No space left on device\n")


def test_a_full_run_pilots_each_scenario_says_how_long_and_names_the_pilot_in_the_result(
    stage: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--full", "--output", "out") == 0

    said = capsys.readouterr().err
    document = json.loads((tmp_path / "out/01-single-flow/result.json").read_text())
    both = ["measure single-flow", "measure concurrent-flows"]
    assert stage.seen == ["fork for 2", "open", *both, *both, "close", "reap"]
    assert said.index("full: a pilot of single-flow and of concurrent-flows first") < said.index("full: about ")
    assert said.index("full: about ") < said.rindex("phase process single-flow 0")
    assert document["scenario"]["parameters"]["pilot"]["discarded"]
    assert document["scenario"]["parameters"]["steps"] > 800


def test_a_pilot_that_completes_nothing_ends_the_run(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    stage.behave = lambda _plan: ([build_repetition(0, completed=0, interrupted=True)], [])

    assert run("single-flow", "--full") == 1
    assert "single-flow: its pilot completed nothing" in capsys.readouterr().err
    assert stage.seen == ["fork for 1", "open", "measure single-flow", "close", "reap"]


def test_limits_of_the_rules_are_in_the_parameters_and_decide(stage: Stage, tmp_path: Path) -> None:
    assert run("single-flow", "--output", "out", "--limit", "min_phase_seconds=60", "--strict") == 5

    document = json.loads((tmp_path / "out/result.json").read_text())
    assert document["scenario"]["parameters"]["limits"]["min_phase_seconds"] == 60
    assert "too short, under 60 s" in document["verdict"]["reasons"][0]


def test_an_unknown_limit_is_2_and_lists_them(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("single-flow", "--limit", "nonsense=1") == 2

    assert "no limit 'nonsense'; there are: min_phase_seconds, " in capsys.readouterr().err
    assert stage.seen == []


def test_auto_computes_the_number_once_from_its_pilot_and_says_whether_the_precision_was_reached(
    stage: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spread = [build_repetition(index, process_seconds=20 + index % 3) for index in range(1, 11)]
    stage.behave = lambda _plan: ([build_repetition(0, warmup=True), *spread], [])

    assert run("single-flow", "--repetitions", "auto", "--precision", "2%", "--output", "out") == 0

    said = capsys.readouterr().err
    document = json.loads((tmp_path / "out/result.json").read_text())
    auto = document["scenario"]["parameters"]["repetitions_auto"]
    assert stage.seen[3] == f"{auto['computed'] - 10} more"
    assert f"auto: execute.per_second ±2 % takes {auto['computed']} repetitions" in said
    assert (auto["metric"], auto["precision"], auto["pilot"], auto["reached"]) == (
        "execute.per_second",
        0.02,
        10,
        False,
    )
    assert 0.02 < auto["half_width"] < 0.06
    assert any(note.startswith("not execute.per_second within ±2 %") for note in document["verdict"]["notes"])


def test_a_watch_is_told_which_scenario_comes_and_how_many_repetitions_are_before_it() -> None:
    plans = [make_plan("single-flow", RunOptions(workers=1, repetitions=3, warmup=1)),
             make_plan("chain", RunOptions(workers=1, repetitions=2, warmup=0))]  # fmt: skip
    planned = replace(plans[0], options=replace(plans[0].options, precision=0.02))

    assert [place_of(plans, number) for number in (0, 1)] == [("scenario 1 of 2", 0, 6), ("scenario 2 of 2", 4, 6)]
    assert place_of([planned], 0) == ("", 0, None), "a pilot says it later"
