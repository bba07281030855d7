"""`compare` as it is typed: codes, streams, one line for bad input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pgflow_stress.core.result import to_json
from tests.fixtures.comparisons import measured, saved, saved_together

PROGRAM = [sys.executable, "-m", "pgflow_stress.cli.main"]
BARE = {name: value for name, value in os.environ.items() if not name.startswith("PGFLOW_STRESS_")}
SESSION = "a session"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of one session: base, slower, like (it), short; another session's slower one; two scenarios each."""
    folder = tmp_path_factory.mktemp("results")
    base, slower = measured(1.0, session=SESSION), measured(0.8, seed=2, session=SESSION)
    saved(base, folder / "base")
    saved(slower, folder / "slower")
    saved(measured(1.0, seed=3, session=SESSION), folder / "like")
    saved(measured(0.5, n=4, session=SESSION), folder / "short")
    saved(measured(0.5, n=1, session=SESSION), folder / "once")
    saved(measured(0.8, seed=2), folder / "elsewhere")
    saved(measured(1.0, name="single-flow"), folder / "other")
    single = measured(1.0, seed=5, name="single-flow", session=SESSION)
    saved_together([base, single], folder / "both")
    saved_together([measured(1.0, seed=6, name="single-flow", session=SESSION), slower], folder / "both-slower")
    return folder


def typed(results: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, "compare", *arguments],
        capture_output=True,
        text=True,
        cwd=results,
        env={**BARE, "COLUMNS": "200", **variables},
        timeout=60,
        check=False,
    )


def test_the_text_goes_to_standard_error_and_ends_with_0(results: Path) -> None:
    ended = typed(results, "base", "slower")

    assert (ended.returncode, ended.stdout) == (0, "")
    assert "concurrent-flows: worse" in ended.stderr


def test_json_is_data_and_nothing_but(results: Path) -> None:
    ended = typed(results, "base/result.json", "slower", "like", "--json", "-")

    document = json.loads(ended.stdout)
    assert ended.returncode == 0
    assert document["schema"] == "pgflow-stress/comparison/1"
    assert [one["verdict"] for one in document["comparisons"]] == ["worse", "equivalent"]
    assert [one["candidate"]["label"] for one in document["comparisons"]] == ["slower", "like"]


def test_a_reader_of_the_text_that_has_gone_changes_neither_the_code_nor_the_data(results: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        [*PROGRAM, "compare", "base", "slower", "--json", "-", "--fail-on", "process.per_second<-5%"],
        stdout=subprocess.PIPE, stderr=writing, text=True, cwd=results, env=BARE, timeout=60, check=False,
    )  # fmt: skip
    os.close(writing)

    assert ended.returncode == 6
    assert json.loads(ended.stdout)["outcome"]["exit_code"] == 6


def test_markdown_goes_to_standard_output_and_json_beside_it_to_a_file(results: Path, tmp_path: Path) -> None:
    ended = typed(results, "base", "slower", "--format", "md", "--json", str(tmp_path / "c.json"))

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("## concurrent-flows: worse")
    assert json.loads((tmp_path / "c.json").read_text())["outcome"]["exit_code"] == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("base slower --fail-on execute.per_second<-5%", 6),
        ("base slower --fail-on execute.per_second<-40%", 0),
        ("base slower --fail-on execute.per_second<-40% --fail-on process.per_second<-5%", 6),
        ("base like slower --fail-on execute.per_second<-5%", 6),
        ("base like --fail-on execute.per_second<-5% --strict", 0),
        ("slower base --fail-on execute.per_second<-5% --strict", 0),
        ("base short --fail-on execute.per_second<-5%", 0),
        ("base short --fail-on execute.per_second<-5% --strict", 5),
        ("base short", 0),
        ("base once", 0),
        ("base once --strict", 5),
        ("once base --fail-on execute.per_second<-5%", 0),
        ("once once --fail-on execute.per_second<-5% --strict", 5),
        ("base short --strict", 5),
        ("base slower --strict --primary deliver.per_second", 5),
        ("base slower short --fail-on execute.per_second<-5% --strict", 5),  # 5 before 6
        ("base elsewhere --fail-on execute.per_second<-5% --strict", 0),  # not beyond the noise between sessions
        ("base other", 2),
        ("both both-slower", 0),
        ("both both-slower --fail-on execute.per_second<-5%", 6),
    ],
)
def test_the_code_is_the_contracts(results: Path, arguments: str, code: int) -> None:
    ended = typed(results, *arguments.split())

    assert ended.returncode == code, ended.stderr
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr


def test_a_gate_may_come_from_the_environment_and_from_a_file(results: Path, tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text('[compare]\nfail-on = ["execute.per_second<-5%"]\nequivalent = "3%"\n')

    by_variable = typed(results, "base", "slower", PGFLOW_STRESS_COMPARE_FAIL_ON="execute.per_second<-5%")
    by_file = typed(results, "base", "slower", "--config", str(config))

    assert (by_variable.returncode, by_file.returncode) == (6, 6)


def test_each_candidate_and_each_scenario_has_its_own_section(results: Path) -> None:
    ended = typed(results, "both", "both-slower", "--json", "-")

    found = [(one["scenario"], one["verdict"]) for one in json.loads(ended.stdout)["comparisons"]]
    assert found == [("concurrent-flows", "worse"), ("single-flow", "equivalent")]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("", "compare takes two results"),
        ("base", "compare takes two results"),
        ("base nowhere", "cannot read nowhere"),
        ("base slower --primary execute.persecond", "near it: execute.per_second"),
        ("base slower --primary process.seconds", "neither more nor less"),
        ("base slower --equivalent 0%", "not above 0 %"),
        ("base slower --equivalent much", "is not a percentage"),
        ("base slower --equivalent 100%", "under 100 %"),
        ("base slower --fail-on x", "write METRIC<-N%"),
        ("base slower --fail-on execute.per_second>+5%", "higher is better"),
        ("base slower --json nowhere/x.json", "is not writable"),
        ("base slower --json - --format md", "share standard output"),
        ("concurrent-flows --interleave", "takes one --vary NAME=A,B"),
        ("--interleave --vary workers=1,2", "measures one scenario"),
        ("base slower --interleave --vary workers=1,2", "measures one scenario"),
        ("nonsense --interleave --vary workers=1,2", "unknown scenario 'nonsense'"),
        ("concurrent-flows --interleave --vary workers=1,2 --vary poll-size=1,2", "takes one --vary"),
        ("concurrent-flows --interleave --vary workers=1", "give NAME=A,B"),
        ("concurrent-flows --interleave --vary workers=1,2,3", "give NAME=A,B"),
        ("concurrent-flows --interleave --vary workers", "give NAME=A,B"),
        ("concurrent-flows --interleave --vary workers=1,none", "'none' is not a valid whole number"),
        ("concurrent-flows --interleave --vary worker=1,2", "near it: workers"),
        ("concurrent-flows --interleave --vary output=a,b", "the same for all that is compared"),
        ("concurrent-flows --interleave --vary pg-setting=a,b", "name the setting"),
        ("concurrent-flows --interleave --vary pgflow=0.8.1,/nowhere", "neither a version like 0.8.1 nor a directory"),
        ("concurrent-flows --interleave --vary pg-setting.wal_level=logical,minimal", "fixed on the embedded server"),
        ("concurrent-flows --interleave --vary workers=1,2 --workers 3", "leave one of the two out"),
        ("concurrent-flows --interleave --vary workers=1,2 --repetitions 0", "0 is not in the range 1<=x"),
        ("concurrent-flows --interleave --vary workers=1,2 --repetitions some", "not a valid whole number"),
        ("concurrent-flows --interleave --vary workers=1,2 --repetitions auto --precision 0%", "not above 0 %"),
        ("concurrent-flows --interleave --vary workers=1,2 --precision 2%", "give --repetitions auto as well"),
        ("concurrent-flows --interleave --vary precision=1%,2%", "the same for all that is compared"),
        ("concurrent-flows --interleave --vary workers=1,2 --fail-on x", "write METRIC<-N%"),
        ("concurrent-flows --interleave --vary workers=1,2 --json nowhere/x.json", "is not writable"),
        ("base slower --vary workers=1,2", "--vary is for compare --interleave"),
        ("base slower --workers 2", "--workers is for compare --interleave"),
        ("base slower --repetitions 2", "--repetitions is for compare --interleave"),
        ("both slower", "scenario"),
        ("base other-schema.json", "not a pgflow-stress/result/1 document"),
        ("other-schema.json base", "not a pgflow-stress/result/1 document"),
        ("base older-schema.json", "not a pgflow-stress/result/1 document"),
        ("base no-schema.json", "not a pgflow-stress/result/1 document"),
        ("base nan.json", "is not JSON: NaN is not JSON"),
        ("base infinite.json", "finds no room"),
        ("base text.json", "cannot be read"),
        ("base cut.json", "is not JSON"),
        ("base nameless.json", "lacks the scenario's name"),
    ],
)
def test_bad_input_is_2_and_one_line(results: Path, arguments: str, told: str) -> None:
    document = to_json(measured(1.0, n=5))
    text = json.dumps(document)
    rate = f'"per_second": {document["repetitions"][2]["phases"]["execute"]["per_second"]!r}'
    assert rate in text
    (results / "older-schema.json").write_text(json.dumps({**document, "schema": "pgflow-stress/result/0"}))
    (results / "no-schema.json").write_text(json.dumps({k: v for k, v in document.items() if k != "schema"}))
    (results / "other-schema.json").write_text(json.dumps({**document, "schema": "pgflow-stress/result/2"}))
    (results / "nan.json").write_text(text.replace(rate, '"per_second": NaN'))
    (results / "infinite.json").write_text(text.replace(rate, '"per_second": 1e999'))
    (results / "text.json").write_text(text.replace(rate, '"per_second": "fast"'))
    (results / "cut.json").write_text(text[:1000])
    (results / "nameless.json").write_text(json.dumps({**document, "scenario": {}}))

    ended = typed(results, *arguments.split())

    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.startswith("pgflow-stress: ")
    assert ended.stderr.count("\n") == 1
    assert told in ended.stderr


def test_help_names_what_is_its_own_and_what_is_of_run() -> None:
    ended = subprocess.run([*PROGRAM, "compare", "--help"], capture_output=True, text=True, check=False)

    assert ended.returncode == 0
    assert "BASE CANDIDATE..." in ended.stdout
    assert "--vary NAME=A,B" in ended.stdout
    assert "--completion [single|pipeline|batch]" in ended.stdout
