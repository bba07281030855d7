"""The program as it is typed: codes, one line, no traceback, nothing but data on standard output."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = [sys.executable, "-m", "pgflow_stress.cli.main"]
BARE = {name: value for name, value in os.environ.items() if not name.startswith("PGFLOW_STRESS_")}


def typed(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *arguments], capture_output=True, text=True, env={**BARE, **variables}, timeout=60, check=False
    )


@pytest.mark.parametrize(
    "arguments",
    [
        "run no-such",
        "run single-flow --steps 0",
        "run single-flow --completion magic",
        "run single-flow --nonsense",
        "run mix --weights chain:0,fan:0",
        "run dag --dag a:b",
        "run fan --depth 3",
        "run --config /nonexistent.toml",
        "run single-flow --output /proc/nowhere",
        "run single-flow --json /nonexistent/r.json",
        "run --threshold nonsense",
        "run --limit nonsense=1",
        "run postgresql://u:hunter2@h/x",
        "run --rate 0",
        "run --prometheus 65536",
        "run --rate 1e300",
        "run --rate nan",
        "run --stages 30s:0",
        "run --stages 30s",
        "run --stages 1s:1,",
        "run --stages nan:5",
        "run --rate 1e9 --duration 3600s",
        "run --repetitions 0",
        "run --repetitions some",
        "run --repetitions auto --precision much",
        "run --repetitions auto --precision 0",
        "run --repetitions auto --precision 100%",
        "run --repetitions auto --precision nan",
        "run --precision 2%",
        "run --repetitions auto --observer-cost --events wal",
        "sweep --anything",
        "compare a b --fail-on x",
        "scenarios validate x.toml",
        "scenarios describe no-such",
        "scenarios list --json /nonexistent/x",
        "nonsense",
        "--nonsense",
    ],
)
def test_bad_usage_is_2_and_one_line(arguments: str, tmp_path: Path) -> None:
    ended = typed(*arguments.split())

    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.startswith("pgflow-stress: ")
    assert ended.stderr.count("\n") == 1
    assert "hunter2" not in ended.stderr


@pytest.mark.parametrize("arguments", ["--help", "run --help", "run -h", "sweep --help", "scenarios describe --help"])
def test_help_goes_to_standard_output(arguments: str) -> None:
    ended = typed(*arguments.split())

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("Usage: pgflow-stress")


def test_without_a_command_the_help_is_usage() -> None:
    ended = typed()

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("Usage: pgflow-stress")


def test_version_is_data() -> None:
    ended = typed("--version", PGFLOW_STRESS_VERSION="x")

    assert ended.returncode == 0
    assert ended.stdout.startswith("pgflow-stress 0.")


def test_scenarios_are_text_on_standard_error_and_data_on_standard_output() -> None:
    listed, data = typed("scenarios"), typed("scenarios", "list", "--json", "-")

    assert listed.stdout == ""
    assert "concurrent-flows" in listed.stderr
    names = [one["name"] for one in json.loads(data.stdout)["scenarios"]]
    assert names[:4] == ["single-flow", "concurrent-flows", "chain", "fan"]
    assert {"map", "retries", "definition", "mix", "dag", "skew", "burst"} <= set(names)
    assert data.stderr == ""


def test_a_full_standard_output_is_1_and_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [*PROGRAM, "scenarios", "list", "--json", "-"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )

    assert ended.returncode == 1
    assert ended.stderr == "pgflow-stress: cannot write to standard output: No space left on device\n"


def test_a_reader_that_has_gone_is_quiet() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ended = subprocess.run(
            [*PROGRAM, "scenarios", "list", "--json", "-"],
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(writer)

    assert (ended.returncode, ended.stderr) == (1, "")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_descriptors_are_borne(closed: str) -> None:
    program = " ".join(PROGRAM)
    ended = subprocess.run(
        ["sh", "-c", f"{program} scenarios list {closed}"], capture_output=True, text=True, check=False
    )

    assert ended.returncode == 0
    assert "Traceback" not in ended.stderr


def test_data_for_a_closed_standard_output_is_refused() -> None:
    ended = subprocess.run(
        ["sh", "-c", f"{' '.join(PROGRAM)} run single-flow --json - >&-"], capture_output=True, text=True, check=False
    )

    assert ended.returncode == 2
    assert ended.stderr == "pgflow-stress: --json -: standard output is closed\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_where_nothing_is_measured_is_130_and_one_line(number: signal.Signals, tmp_path: Path) -> None:
    waits = "import signal\nsignal.signal(signal.SIGHUP, signal.SIG_DFL)\n"  # nohup may have started the tests
    waits += "from pgflow_stress.cli import app\nimport time, sys\nfrom pgflow_stress.cli.main import main\n"
    waits += "def wait(*_):\n    print('here', flush=True)\n    time.sleep(30)\n"
    waits += "app.load_command = wait\nsys.argv = ['x', 'scenarios']\nmain()\n"
    process = subprocess.Popen([sys.executable, "-c", waits], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()

    process.send_signal(number)
    _, said = process.communicate(timeout=30)

    assert process.returncode == 130
    assert said == f"pgflow-stress: interrupted by {number.name}\n"


def test_a_signal_after_the_end_changes_nothing() -> None:
    late = (
        "import atexit, os, signal, sys\nfrom pgflow_stress.cli import app\nfrom pgflow_stress.cli.main import main\n"
    )
    late += "atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))\n"
    late += "app.load_command = lambda *_: sys.exit(6)\nsys.argv = ['x', 'scenarios']\nmain()\n"

    ended = subprocess.run([sys.executable, "-c", late], capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stderr) == (6, "")


def test_the_program_has_one_thread_when_it_forks() -> None:
    asks = (
        "import os, sys; from pgflow_stress.cli import app, main\n"
        "def count(*_):\n    import numpy, scipy.special\n    print(len(os.listdir('/proc/self/task')))\n"
        "    sys.exit(0)\n"
        "app.load_command = count\nsys.argv = ['x', 'run']\nmain.main()\n"
    )
    ended = subprocess.run([sys.executable, "-c", asks], capture_output=True, text=True, check=False)

    assert (ended.stdout, ended.stderr) == ("1\n", "")


def test_completion_of_the_shell_knows_commands() -> None:
    ended = typed(_PGFLOW_STRESS_COMPLETE="bash_complete", COMP_WORDS="pgflow-stress fi", COMP_CWORD="1")

    assert "find-max" in ended.stdout
