"""Hostile inputs, seeded: options, environment, files, DSNs, results and names. Each ends in one line and the right code.

No case may end in a traceback, show a password, write a file, or take longer than a moment. Each runs in a fork of this
process, in an empty folder, with a state and a cache of its own and a database that cannot be reached; a sample runs as
typed. Prints a line of JSON a kind, and what was wrong.
"""
# ruff: noqa: E501  tables of inputs

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import click

from pgflow_stress.cli.app import app, load_command
from pgflow_stress.cli.commands import COMMANDS
from pgflow_stress.cli.config import outside_name
from pgflow_stress.cli.main import run_command_line

SECRET = "hunter2-" + "correct-horse"
NOWHERE = f"postgresql://somebody:{SECRET}@/nowhere?host=/nonexistent&connect_timeout=1"
KINDS = ("options", "environment", "names", "dsns", "files", "own", "results")
WHOLE = "whole"  # the folder of a sound result
SECONDS = 20
MEMORY_BYTES = 4 << 30
TYPED_EVERY = 25  # so manieth case runs as typed as well
REFUSED = frozenset({2, 3})
NOTE = "metrics at http"  # of --prometheus, before anything is reached
JUDGED = frozenset({0, 2, 4, 5, 6})  # of a file that is read: it may still be a result
TEXTS = (
    "", " ", "\n", "\t\r\n", "-", "--", "=", "a" * 100_000, "9" * 400, "-1", "-0", "0", "1e309", "-inf", "nan", "0x10", "1_000",
    "１２", "٣", "+5", "1e3", " 5 ", "5s", "1e-320", "true", "null", "[]", "{}", "'", '"', "\\", "%s%n%d", "{0.__class__}",
    "'; DROP TABLE pgflow.runs; --", "$(touch pwned)", "`touch pwned`", "; touch pwned", "| touch pwned", "../../../etc/passwd",
    "/etc/shadow", "/dev/null/x", "/proc/self/mem", "~root", "file:///etc/passwd", "[red]x[/red]", "[/]", "\x1b[31mred\x1b[0m",
    "\u202eabc", "\U0001f4a5", "e\u0301", os.fsdecode(b"\xff\xfe"), "single-flow", "0.8.1\n", "a=b=c", ",,,", ":", "1:", ":1", "1,2",
    f"postgresql://u:{SECRET}@h:notaport/x", f"host=/nonexistent password={SECRET} nonsense", f"password='{SECRET}",
)  # fmt: skip
DSNS = (
    NOWHERE, f"postgresql://u:{SECRET}@[::1/x", f"postgresql://u:{SECRET}@/x?host=/nonexistent&bogus=1", f"host=/nonexistent password={SECRET} port=x",
    f"host=/nonexistent password='{SECRET}", f"postgresql://u:{SECRET}@@/x", f"postgresql://u:a/{SECRET}@h/x", f"postgres://:{SECRET}@/",
    f"host=198.51.100.1 password={SECRET}", f"hostaddr=198.51.100.1 password={SECRET}", f"host=/nonexistent,198.51.100.1 password={SECRET}",
    f"service=none password={SECRET}", f"host=/nonexistent port=99999999999 password={SECRET}", f"host=/nonexistent sslmode=nonsense password={SECRET}",
    f"host='{'x' * 10_000}' password={SECRET}", f"password={SECRET}\nhost=/nonexistent", f"host=@nowhere password={SECRET}",
    f"host=/nonexistent options='-c x={SECRET}'", f"{SECRET}=x host=", f"host=/nonexistent dbname={SECRET!r}x user=a", "=", "host", "postgresql://",
)  # fmt: skip
TOMLS = (
    "", "[", "[run]\nsteps = ", "[run]\nsteps = 'x'", "[run]\nsteps = -1", "[run]\nsteps = 1.5", "[run]\nsteps = true", "[run]\nsteps = [1]",
    "[run]\nnonsense = 1", "[nonsense]\nx = 1", "run = 1", "[run.steps]\nx = 1", "[run]\nsteps = 1\nsteps = 2", "x = 1979-05-27", "[run]\nscenario = 5",
    "[run]\nthreshold = 5", "[run]\nthreshold = [['x']]", "[run]\npin = {a = 1}", "[run]\nsteps = 99999999999999999999", "[run]\nsteps = nan",
    f"[run]\ndsn = 'postgresql://u:{SECRET}@h:x/y'", f"[run]\ndsn = 5 # {SECRET}", "[run]\nempty_poll = 'sleep:'", "[run]\nconfig = 'x'", "\x00",
    "[[run]]\nsteps = 1", "[run]\n'' = 1", "[run]\n\"steps\\u0000\" = 1", "[run]\nevents = 1979-05-27T07:32:00Z", "a." * 2_000 + "b = 1",
)  # fmt: skip
FLOWS = (
    "", ";", "--", "/*", "$$", "$a$ $b$", "E'\\", "'", '"', "select 1", "SELECT pgflow.create_flow", "SELECT pgflow.create_flow(", "drop schema pgflow",
    "SELECT pgflow.create_flow('a'); COPY x TO PROGRAM 'touch pwned'", "DO $$BEGIN PERFORM pg_sleep(99); END$$", "\\! touch pwned", "\\copy x from y",
    "SELECT pgflow.create_flow('a') " + "(" * 10_000, "/*" * 10_000, "SELECT pgflow.add_step('a', $x$" + "y" * 100_000, "\x00", "SELECT\x00", "\ufeffSELECT 1",
    "WITH x AS (SELECT pgflow.create_flow('a')) SELECT 1", "SELECT pgflow.delete_flow_and_data('a')", "SELECT pgflow.create_flow('a'); ROLLBACK; DROP TABLE x",
)  # fmt: skip
SCENARIOS = (
    "", "scenario", "scenario = ", "scenario = 5", "scenario = 'x.toml'", "scenario = ['chain']", "scenario = 'chain'\nscenario = 'fan'", "[scenario]", "[[scenario]]",
    "scenario = 'chain'\n[options]\nworkers = '2'", "scenario = 'chain'\n[options]\nworkers = 99999999999999999999", "scenario = 'chain'\n[options]\nrate = nan",
    "scenario = 'chain'\n[options]\nrate = inf", "scenario = 'chain'\noptions = 5", "scenario = 'chain'\n[parameters.depth]\nx = 1", "scenario = 'chain'\nparameters = []",
    "scenario = 'chain'\nstages = {}", "scenario = 'chain'\nstages = [1]", "scenario = 'chain'\n[[stages]]\nduration = -1\nrate = 1", "scenario = 'chain'\nthresholds = [1]",
    "scenario = 'chain'\nthresholds = ['" + "x" * 10_000 + "']", "mix = []", "[[mix]]", "[[mix]]\nscenario = 'chain'\nweight = nan", "[[mix]]\nscenario = 'chain'\nweight = inf",
    "[[mix]]\nscenario = 'chain'\nweight = -1", "[[mix]]\nscenario = 'chain'\nweight = 1\nparameters = 1", "scenario = 'own-flow'", "scenario = 'own-flow'\nparameters.flow = '/etc/shadow'",
    "scenario = 'own-flow'\nparameters.flow = ''", f"scenario = 'chain'\n[options]\ndsn = 'postgresql://u:{SECRET}@h/x'", "scenario = 1979-05-27", "x." * 2_000 + "y = 1",
    "scenario = 'chain'\nx = " + "[" * 200 + "]" * 200, "scenario = 'chain'\n[options]\ntimeout = 1e400", "scenario = 'chain'\n[options]\n'workers\u0000' = 1",
    "\x00", "scenario = 'chain'\nparameters.depth = true", "scenario = 'chain'\n[options]\nyes-on = ['x']", "scenario = 'dag'\nparameters.dag = 'a:b b:a'",
)  # fmt: skip
OLD_VARIABLES = ("STEP_COUNT", "CONCURRENT_FLOWS", "STEPS_PER_FLOW", "COMPLETION_BATCH_SIZE", "MAX_COMPLETION_TIME_MS")
LIBPQ_VARIABLES = ("PGHOST", "PGSERVICE", "PGDATABASE", "DATABASE_URL")


@dataclass(frozen=True)
class Case:
    """One call: its arguments, what surrounds it, the codes that it may end with."""

    kind: str
    arguments: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    codes: frozenset[int] = REFUSED
    one_line: bool = True
    writes: str = ""  # a file that it was told to write, and may, as it tells what it found


def leaves(name: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """The command of a name, or those of its group."""
    command = load_command(name)
    if isinstance(command, click.Group):
        yield from (((name, inner), command.commands[inner]) for inner in command.commands)
    else:
        yield (name,), command


def reachable() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Commands that end by themselves where no database can be reached."""
    for name in COMMANDS:
        yield from leaves(name)


class Inputs:
    """The cases, made from a seed."""

    def __init__(self, seed: int, folder: Path, result: str) -> None:
        """Nothing is made yet."""
        self._random = random.Random(seed)
        self._folder = folder
        self._result = result
        self._files = 0

    def file(self, content: bytes, suffix: str = "") -> str:
        """A file with this content; its path."""
        self._files += 1
        path = self._folder / f"input{self._files}{suffix}"
        path.write_bytes(content)
        return str(path)

    def some(self, texts: tuple[str, ...], count: int) -> list[str]:
        """So many of them."""
        return self._random.sample(texts, min(count, len(texts)))

    def all(self) -> Iterator[Case]:
        """Every case."""
        for make in (self.options, self.environment, self.names, self.dsns, self.files, self.own, self.results):
            yield from make()

    def options(self) -> Iterator[Case]:
        """Every option of every command."""
        for words, command in reachable():
            for option in command.params:
                if not isinstance(option, click.Option) or option.name in ("help", "config"):
                    continue
                for text in self.some(TEXTS, 1 if option.is_flag else 5):
                    typed = (f"{option.opts[0]}={text}",)
                    yield self._refusing("options", words, typed)

    def _refusing(self, kind: str, words: tuple[str, ...], more: tuple[str, ...], **environment: str) -> Case:
        """A case whose command gets no further than its target."""
        quiet = words[0] not in ("doctor", "db")
        codes = REFUSED if words[0] in ("run", "calibrate") else REFUSED | {0}
        writes = more[0].removeprefix("--json=") if more and words[0] in ("doctor", "scenarios") else ""
        return Case(kind, (*words, *more), environment, codes, quiet and codes == REFUSED, writes)

    def environment(self) -> Iterator[Case]:
        """Every variable of `run`, the old script's and libpq's."""
        for option in load_command("run").params:
            if isinstance(option, click.Option) and option.name not in ("help", "config"):
                name = f"PGFLOW_STRESS_RUN_{outside_name(option)}".replace("-", "_").upper()
                for text in self.some(TEXTS, 2):
                    yield self._refusing("environment", ("run",), (), **{name: text})
        for name in (*OLD_VARIABLES, *LIBPQ_VARIABLES):
            for text in self.some(TEXTS, 5):
                if text.strip():
                    yield self._refusing("environment", ("run",), (), **{name: text})

    def names(self) -> Iterator[Case]:
        """Names of scenarios, flows, mutants and commands."""
        for text in TEXTS:
            yield self._refusing("names", ("run",), ("--", text))
            yield Case(
                "names", ("scenarios", "describe", "--", text), codes=REFUSED | {0}, one_line=text != "single-flow"
            )
            yield Case("names", ("audit", "--dsn", NOWHERE, f"--flow-slug={text}"))
            yield Case("names", ("audit", "--self-test", f"--mutant={text}"))
            if text not in ("--",):
                yield Case("names", (text, "x"), codes=REFUSED | {0}, one_line=False)

    def dsns(self) -> Iterator[Case]:
        """Connection strings, typed and not."""
        for dsn in DSNS:
            yield Case("dsns", ("run", "single-flow", "--dsn", dsn))
            yield Case("dsns", ("audit", "--dsn", dsn))
            yield Case("dsns", ("db", "install", "--dsn", dsn))
            yield Case("dsns", ("run",), {"DATABASE_URL": dsn})
            yield Case("dsns", ("doctor", "--dsn", dsn), one_line=False)

    def files(self) -> Iterator[Case]:
        """Files of options, and places that are none."""
        contents = [text.encode() for text in TOMLS] + [
            self._random.randbytes(4096),
            b"\xff\xfe",
            b"[run]\n" + b"#" * 1_000_000,
        ]
        for content in contents:
            yield Case("files", ("run", "--config", self.file(content), "--dsn", NOWHERE))
        for path in ("/", "/dev/null", "/proc/self/mem", "/nonexistent", "", "\n", "/dev/null/x", "x" * 5_000):
            yield Case("files", ("run", "--config", path, "--dsn", NOWHERE))
            for command in ("audit", "report", "compare"):
                yield Case("files", (command, path), codes=frozenset({2}))
            for option in ("--output", "--json"):
                if path not in ("/dev/null", "\n"):
                    yield Case("files", ("run", "--dsn", NOWHERE, option, path))

    def own(self) -> Iterator[Case]:
        """Flows and scenario files of the user's own."""
        for content in [text.encode(errors="surrogatepass") for text in FLOWS] + [
            self._random.randbytes(4096),
            b"\xff",
        ]:
            yield Case("own", ("run", "--dsn", NOWHERE, "--flow", self.file(content, ".sql")))
        for text in TEXTS:
            yield Case("own", ("run", "--dsn", NOWHERE, f"--flow={text}"))
            yield Case("own", ("run", "--dsn", NOWHERE, f"--flow-slug={text}"))
        for content in [text.encode() for text in SCENARIOS] + [self._random.randbytes(4096), b"\xff"]:
            path = self.file(content, ".toml")
            yield Case("own", ("run", path, "--dsn", NOWHERE))
            yield Case("own", ("scenarios", "validate", path), codes=frozenset({2}), one_line=False)
        for path in ("/.toml", "/dev/null/x.toml", "x" * 5_000 + ".toml", "\n.toml", "a\x00.toml"):
            yield Case("own", ("run", path), codes=frozenset({2}))

    def results(self) -> Iterator[Case]:
        """Results with one value struck."""
        for content in self._mutations():
            path = self.file(content)
            yield Case("results", ("audit", path), codes=JUDGED, one_line=False)
            yield Case("results", ("report", path, "--format", "md", "--output", "-"), codes=JUDGED, one_line=False)
            yield Case("results", ("compare", path, path), codes=JUDGED, one_line=False)
        for path in self._broken_directories():
            for name in ("html", "hgrm", "hlog", "openmetrics"):
                more = ("--format", name, "--output", "-")
                yield Case("results", ("report", path, *more), codes=JUDGED, one_line=False)

    def _broken_directories(self) -> Iterator[str]:
        """A result's directory in which one file is another's, cut, empty or noise."""
        whole = self._folder / WHOLE
        files = [path for path in sorted(whole.rglob("*")) if path.suffix in (".hlog", ".parquet", ".json")]
        for file in files:
            content = file.read_bytes()
            for broken in (b"", content[: len(content) // 2], self._random.randbytes(4096), b"{}\n" * 100):
                self._files += 1
                copy = self._folder / f"directory{self._files}"
                shutil.copytree(whole, copy)
                (copy / file.relative_to(whole)).write_bytes(broken)
                yield str(copy)

    def _mutations(self) -> Iterator[bytes]:
        text = self._result
        yield from (
            b"",
            b"{}",
            b"[]",
            b"null",
            b"[" * 100_000,
            b'{"schema": "pgflow-stress/result/1"}',
            b"\xff",
            b"NaN",
            b'"' + b"x" * 1_000_000,
        )
        for _ in range(10):
            yield text[: self._random.randrange(len(text))].encode()
        for _ in range(60):
            yield json.dumps(self._struck(json.loads(text))).encode()

    def _struck(self, document: Any) -> Any:
        """One value, anywhere, taken away or made another."""
        at = document
        while True:
            if not at:
                return document
            key = self._random.choice(list(at) if isinstance(at, dict) else range(len(at)))
            if isinstance(at[key], dict | list) and at[key] and self._random.random() < 0.85:
                at = at[key]
                continue
            if isinstance(at, dict) and self._random.random() < 0.3:
                del at[key]
            else:
                at[key] = self._random.choice(
                    [
                        None,
                        True,
                        -1,
                        10**400,
                        1.5,
                        float("nan"),
                        float("inf"),
                        "",
                        "x",
                        SECRET[:7],
                        [],
                        {},
                        [[]],
                        "<script>",
                        "\x00",
                        "\ud800",
                        "../../pwned",
                    ]
                )
            return document


class Judge:
    """Runs cases and says what was wrong with each."""

    def __init__(self, folder: Path) -> None:
        """Cases get folders of their own in this one."""
        self._folder = folder
        self._count = 0

    def _places(self) -> tuple[Path, dict[str, str]]:
        self._count += 1
        here = self._folder / f"case{self._count}"
        (here / "cwd").mkdir(parents=True)
        ours = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PGFLOW_STRESS", "PG")) and name not in (*OLD_VARIABLES, *LIBPQ_VARIABLES)
        }
        return here, ours | {
            "PGFLOW_STRESS_STATE": "/dev/null/state",  # no embedded server, whatever is asked for
            "PGFLOW_STRESS_CACHE": str(here / "cache"),
            "DATABASE_URL": NOWHERE,
            "npm_config_registry": "http://127.0.0.1:9",
            "HOME": str(here / "home"),
        }

    def wrong(self, case: Case, run: Callable[[Case, Path, dict[str, str]], int | None]) -> list[str]:
        """What was wrong with a case that is run so; empty for nothing."""
        here, environment = self._places()
        code = run(case, here, environment | case.environment)
        out, err = ((here / name).read_text(errors="replace") for name in ("out", "err"))
        wrong = []
        if code is None:
            wrong.append("hang")
        elif code not in case.codes:
            wrong.append(f"exit {code}")
        if "Traceback" in out + err or "bug of ours" in err:
            wrong.append("a traceback")
        if SECRET in out + err:
            wrong.append("the password is shown")
        lines = [line for line in err.splitlines() if not line.startswith(NOTE)]
        if code in REFUSED and case.one_line and len(lines) != 1:
            wrong.append(f"{len(lines)} lines")
        if code in REFUSED and case.one_line and out:
            wrong.append("something on standard output")
        may = {here / name for name in ("cwd", "out", "err")} | {here / "cwd" / case.writes}
        left = [str(path.relative_to(here)) for path in here.rglob("*") if path not in may]
        wrong += [f"left {', '.join(left[:3])}"] if left else []
        if wrong:
            wrong.append(f"said {err[-300:]!r}")
        shutil.rmtree(here)
        return wrong


def forked(case: Case, here: Path, environment: dict[str, str]) -> int | None:
    """Its code in a fork of this process; None where it hangs."""
    pid = os.fork()
    if not pid:
        code = 99
        try:
            os.setsid()
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
            os.chdir(here / "cwd")
            for descriptor, name in ((1, "out"), (2, "err")):
                os.dup2(os.open(here / name, os.O_WRONLY | os.O_CREAT), descriptor)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.environ.clear()
            os.environ.update(environment)
            code = run_command_line(list(case.arguments))
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)
    return _ended(pid)


def _ended(pid: int) -> int | None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def typed(case: Case, here: Path, environment: dict[str, str]) -> int | None:
    """Its code as typed."""
    command = [sys.executable, "-m", "pgflow_stress.cli.main", *case.arguments]
    with (here / "out").open("wb") as out, (here / "err").open("wb") as err:
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment, cwd=here / "cwd",
                timeout=SECONDS, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return None
    return done.returncode


def a_result(folder: Path) -> str:
    """The text of a small result, measured now; its directory is kept."""
    path = folder / WHOLE
    command = "run concurrent-flows --flows 2 --runs 4 --steps 2 --repetitions 2 --warmup 0 --quiet --output"
    subprocess.run([sys.executable, "-m", "pgflow_stress.cli.main", *command.split(), path], check=True)
    return (path / "result.json").read_text()


def main() -> int:
    """Run all cases; 1 where one was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", action="append", choices=KINDS, help="only these kinds; may be repeated")
    parser.add_argument("--first", type=int, default=0, help="where to begin, of the cases that are chosen")
    parser.add_argument("--times", type=int, default=10**9, help="how many of them")
    parser.add_argument("--seconds", type=float, default=1e9, help="no case is begun after that")
    asked = parser.parse_args()
    counts: dict[str, int] = {}
    faults: dict[str, int] = {}
    deadline, following = time.monotonic() + asked.seconds, None
    app.list_commands(click.Context(app))
    with tempfile.TemporaryDirectory(prefix="pgflow-stress-hostile-") as name:
        folder = Path(name)
        judge = Judge(folder)
        inputs = Inputs(asked.seed, folder, a_result(folder) if not asked.kind or "results" in asked.kind else "{}")
        chosen = (case for case in inputs.all() if not asked.kind or case.kind in asked.kind)
        for index, case in enumerate(islice(chosen, asked.first, asked.first + asked.times), asked.first):
            if time.monotonic() > deadline:
                following = index
                break
            counts[case.kind] = counts.get(case.kind, 0) + 1
            fitting = all("\x00" not in text and len(text) < 100_000 for text in case.arguments)
            for run in (forked, typed) if index % TYPED_EVERY == 0 and fitting else (forked,):
                wrong = judge.wrong(case, run)
                if wrong:
                    faults[case.kind] = faults.get(case.kind, 0) + 1
                    short = [text if len(text) < 200 else text[:50] + "…" for text in case.arguments]
                    print(json.dumps({"case": short, "environment": case.environment, "wrong": wrong}), flush=True)
    for kind, count in counts.items():
        print(json.dumps({"proof": "hostile", "kind": kind, "cases": count, "wrong": faults.get(kind, 0)}))
    line = {"proof": "hostile", "cases": sum(counts.values()), "wrong": sum(faults.values()), "seed": asked.seed}
    print(json.dumps(line | ({} if following is None else {"goes_on_with": f"--first {following}"})))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
