"""`run FILE.toml` and `scenarios validate`: a file is the scenario under its options, and what is wrong has a place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pgflow_stress.cli.main import run_command_line
from pgflow_stress.cli.scenario_schema import schema
from pgflow_stress.core.errors import UsageFault
from tests.unit.cli.helpers import parse_run

ROOT = Path(__file__).resolve().parents[3]
BURST = """\
scenario = "chain"
description = "a burst in the middle"
thresholds = ["execute.per_second>1", "process.latency_ns.p99<1e9"]
stages = [{ duration = "10s", rate = 5 }, { duration = 2.5, rate = 60 }]

[parameters]
depth = 3

[options]
workers = 3
flows = 4
payload = 77
empty-poll = "sleep:2"
probe-client = false
events = "wal"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_file_is_its_scenario_under_its_options(folder: Path) -> None:
    Path("burst.toml").write_text(BURST)

    request = parse_run("burst.toml")

    (plan,) = request.plans
    parameters = plan.parameters()
    assert (plan.scenario, plan.load_model) == ("chain", "open")
    assert (parameters["depth"], parameters["workers"], parameters["flows"], parameters["payload"]) == (3, 3, 4, 77)
    assert (parameters["stages"], parameters["empty_poll"]) == (["10s:5", "2.5s:60"], "sleep:2")
    assert parameters["scenario_file"] == "burst.toml"
    assert request.target.events == "wal"
    assert [threshold.metric for threshold in request.thresholds] == ["execute.per_second", "process.latency_ns.p99"]


def test_what_is_typed_or_in_the_environment_beats_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("burst.toml").write_text(BURST)
    monkeypatch.setenv("PGFLOW_STRESS_RUN_FLOWS", "9")

    request = parse_run(
        "burst.toml",
        "--depth",
        "5",
        "--workers",
        "2",
        "--rate",
        "7",
        "--duration",
        "3",
        "--threshold",
        "start.per_second>0",
    )

    parameters = request.plans[0].parameters()
    assert (parameters["depth"], parameters["workers"], parameters["flows"], parameters["payload"]) == (5, 2, 9, 77)
    assert parameters["stages"] == ["3s:7"]
    assert [threshold.metric for threshold in request.thresholds] == ["start.per_second"]
    assert parse_run("burst.toml", "--steps", "6").plans[0].parameters()["depth"] == 6
    assert parse_run("burst.toml", "-p", "depth=8").plans[0].parameters()["depth"] == 8
    assert parse_run("burst.toml", "--in-flight", "2").plans[0].load_model == "closed"


def test_a_mix_has_its_parts_weights_and_parameters(folder: Path) -> None:
    Path("mix.toml").write_text(
        "[options]\nruns = 40\n[[mix]]\nscenario = 'chain'\nweight = 3\nparameters = { depth = 4 }\n"
        "[[mix]]\nscenario = 'fan'\nweight = 1\n[mix.parameters]\nwidth = 2\n"
    )

    (plan,) = parse_run("mix.toml").plans
    (deeper,) = parse_run("mix.toml", "-p", "chain.depth=6").plans

    assert [len(shape.steps) for shape in plan.work.shapes] == [4, 4]
    assert plan.parameters()["weights"] == "chain:3,fan:1"
    assert [len(shape.steps) for shape in deeper.work.shapes] == [6, 4]


def test_a_preset_in_a_file_has_its_options_but_for_those_of_the_file(folder: Path) -> None:
    Path("skew.toml").write_text("scenario = 'skew'\n[options]\nruns = 50\n")

    (plan,) = parse_run("skew.toml").plans

    assert (plan.parameters()["deal"], plan.runs) == ("zipf:1.2", 50)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("scenario = 'chian'", "f.toml:1:1: scenario 'chian': there is none; nearest: chain"),
        ("scenari = 'chain'", "f.toml:1:1: unknown key 'scenari'; nearest: scenario"),
        ("description = 'x'", "f.toml:1:1: there must be a key 'scenario', or [[mix]]"),
        ("scenario = 'chain'\n[parameters]\n dept = 3", "f.toml:3:2: unknown key 'dept'; nearest: depth"),
        ("scenario = 'chain'\nparameters.depth = 0", "f.toml:2:1: depth 0: give at least 1"),
        ("scenario = 'chain'\nparameters.depth = '3'", "f.toml:2:1: depth '3': give a whole number"),
        ("scenario = 'chain'\n[options]\nworker = 3", "f.toml:3:1: unknown key 'worker'; nearest: workers"),
        ("scenario = 'chain'\n[options]\ndsn = 'x'", "f.toml:3:1: unknown key 'dsn'"),
        ("scenario = 'chain'\n[options]\nworkers = true", "f.toml:3:1: workers True: give a whole number"),
        ("scenario = 'chain'\n[options]\npin = 'nobody=1'", "f.toml:3:1: pin: unknown role 'nobody'"),
        ("scenario = 'chain'\n[options]\ntimeout = 'soon'", "f.toml:3:1: timeout: 'soon' is not a duration"),
        ("scenario = 'chain'\nthresholds = ['nothing>1']", "f.toml:2:15: "),
        ("scenario = 'chain'\nstages = [{ duration = '1y', rate = 1 }]", "f.toml:2:13: duration '1y': give 30s"),
        ("scenario = 'chain'\nstages = [{ duration = 1 }]", "f.toml:2:11: stages[0]: there must be a key 'rate'"),
        ("scenario = 'chain'\nstages = []", "f.toml:2:1: stages is empty"),
        ("[[mix]]\nscenario = 'chain'\nweight = 0", "f.toml:1:1: the weights of [[mix]] add up to 0"),
        ("[[mix]]\nscenario = 'mix'\nweight = 1", "f.toml:2:1: scenario 'mix': there is none"),
        (
            "scenario = 'fan'\n[[mix]]\nscenario = 'chain'\nweight = 1",
            "f.toml:1:1: scenario 'fan': with [[mix]] it is mix",
        ),
        ("[[mix]]\nscenario='fan'\nweight=1\n[[mix]]\nscenario='fan'\nweight=1", "f.toml:5:1: scenario 'fan' is in"),
        ("[[mix]]\nscenario='fan'\nweight=1\nparameters.depth=1", "f.toml:4:1: unknown key 'depth'; nearest: width"),
        ("scenario = ", "f.toml:1:12: Invalid value"),
        ("scenario = 'dag'\n[parameters]\ndag = 'a:b b:a'", "f.toml:3:1: dag: step 'a' depends on a step"),
        ("scenario = 'own-flow'\nparameters.flow = 'a.sql'", "f.toml:2:1: --flow a.sql: No such file"),
        ("scenario = 'chain'\n[[stages]]\nduration = 1\nrate = inf", "f.toml:4:1: rate: give a finite number"),
        ("scenario = 'chain'\n[[stages]]\nduration = -1\nrate = 1", "f.toml:3:1: duration -1: give 30s"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line_with_line_and_column(
    folder: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    Path("f.toml").write_text(text)

    codes = [run_command_line(["run", "f.toml"]), run_command_line(["scenarios", "validate", "f.toml"])]

    first, *more = capsys.readouterr().err.splitlines()
    assert codes == [2, 2]
    assert first.startswith(f"pgflow-stress: {said}")
    assert more[0] == first
    assert list(folder.iterdir()) == [Path(folder, "f.toml")]


def test_validate_tells_every_fault_of_every_file_and_which_are_well(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("good.toml").write_text(BURST)
    Path("bad.toml").write_text("scenario = 'chain'\nx = 1\n[options]\ny = 2\nworkers = 0\n")

    code = run_command_line(["scenarios", "validate", "good.toml", "bad.toml", "absent.toml", "other.txt"])

    assert code == 2
    assert [line.removeprefix("pgflow-stress: ").split(": ")[0] for line in capsys.readouterr().err.splitlines()] == [
        "good.toml", "bad.toml:2:1", "bad.toml:4:1", "bad.toml:5:1", "absent.toml", "other.txt",
    ]  # fmt: skip


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.write_bytes(b"\x7fELF\x00\xff"), lambda _: None])
def test_a_file_that_is_none_is_told_so(folder: Path, capsys: pytest.CaptureFixture[str], make: object) -> None:
    make(Path("f.toml"))  # type: ignore[operator]

    assert run_command_line(["run", "f.toml"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_file_is_run_by_itself_and_the_faults_of_its_plan_name_it(folder: Path) -> None:
    Path("f.toml").write_text("scenario = 'chain'\n[options]\nflows = 90000\n")

    with pytest.raises(UsageFault, match="by itself"):
        parse_run("f.toml", "fan")
    with pytest.raises(UsageFault, match=r"f.toml:3:1: --flows 90000: at most 20000"):
        parse_run("f.toml")


def test_the_schema_for_editors_is_the_one_that_files_are_held_against(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["scenarios", "schema"]) == 0

    assert json.loads(capsys.readouterr().out) == schema()
    assert json.loads((ROOT / "docs/scenario.schema.json").read_text()) == schema()
