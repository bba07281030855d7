"""Call graphs of backends and workers, sampled by Linux's perf where it is there: speedscope's JSON and the heaviest.

perf's own text is turned into https://www.speedscope.app/file-format-schema.json: stacks from the root, each once with
how often it was seen. What cannot be had is said in one line, and nothing else depends on it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from pgflow_stress.core.result import Json

_PER_SECOND = 99  # not in step with anything that ticks
_STACK_BYTES = 16384  # copied with a sample: PL/pgSQL's calls are deep, and PostgreSQL has no frame pointers
_MOST_MIB = 128  # after that perf stops sampling
_END_SECONDS = 3.0
_SCRIPT_SECONDS = 120.0
_HEAVIEST = 12
_EVERYTHING = 0.9  # of the samples: what a function that is in nearly all of them calls says nothing
_SCHEMA = "https://www.speedscope.app/file-format-schema.json"

Stacks = Counter[tuple[str, ...]]  # from the root, how often


class CallGraphs:
    """`begin` and `end` round the window, then `read`."""

    def __init__(self) -> None:
        """Nothing is started."""
        self.why = ""  # nothing was sampled
        self._roles: dict[int, str] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._data = tempfile.TemporaryFile()  # noqa: SIM115  closed by close; without a name: a kill leaves nothing

    def begin(self, roles: Mapping[int, str]) -> None:
        """Sample these processes, each by its role, until `end`."""
        perf = shutil.which("perf")
        if perf is None:
            self.why = "perf is not installed (Linux's perf, of the package linux-perf or linux-tools)"
            return
        self._roles = dict(roles)
        command = [
            perf, "record", "--quiet", "--freq", str(_PER_SECOND), "--call-graph", f"dwarf,{_STACK_BYTES}",
            "--max-size", f"{_MOST_MIB}M", "--output", "-", "--pid", ",".join(map(str, roles)),
        ]  # fmt: skip
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=self._data,
                stderr=subprocess.PIPE,
                start_new_session=True,  # the terminal's Ctrl-C is for the coordinator
            )
        except OSError as error:
            self.why = f"perf cannot be started: {error.strerror}"

    def end(self) -> None:
        """Stop sampling."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGINT)
        try:
            _, told = self._process.communicate(timeout=_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            _, told = self._process.communicate()
        if not os.fstat(self._data.fileno()).st_size:
            lines = [line.strip() for line in told.decode(errors="replace").splitlines()]
            said = [line for line in lines if line and line != "Error:"]
            self.why = f"perf recorded nothing: {said[0] if said else 'it left no word'}"

    def read(self) -> tuple[Json, Json | None]:
        """(what the result says of it, the document for speedscope or None)."""
        stacks = {} if self.why else self._stacks()
        if not stacks and not self.why:
            self.why = "perf recorded no sample"
        if self.why:
            return {"not_seen": self.why}, None
        return {"by_role": {role: heaviest(found) for role, found in stacks.items()}}, speedscope(stacks)

    def _stacks(self) -> dict[str, Stacks]:
        perf = shutil.which("perf") or "perf"
        command = [perf, "script", "--input", "-", "--fields", "pid,ip,sym", "--no-inline"]
        self._data.seek(0)
        try:
            done = subprocess.run(command, stdin=self._data, capture_output=True, timeout=_SCRIPT_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            self.why = f"perf script did not end: {type(error).__name__}"
            return {}
        return parse_script(done.stdout.decode(errors="replace").splitlines(), self._roles)

    def close(self) -> None:
        """Leave nothing behind: no process, no file."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.communicate()
        self._data.close()


def parse_script(lines: Iterable[str], roles: Mapping[int, str]) -> dict[str, Stacks]:
    """Of `perf script --fields pid,ip,sym`: by role, its stacks; a sample is its process, then frames from the leaf."""
    found: dict[str, Stacks] = {}
    role = ""
    frames: list[str] = []
    for line in [*lines, ""]:
        fields = line.split(maxsplit=1)
        if not fields:
            if role and frames:
                found.setdefault(role, Counter())[tuple(reversed(frames))] += 1
            role, frames = "", []
        elif line[0].isspace() and role and len(fields) == 2:
            frames.append(fields[1].partition("+0x")[0])
        elif fields[0].isdigit() and len(fields) == 1:
            role = roles.get(int(fields[0]), "")
    return found


def speedscope(stacks: Mapping[str, Stacks]) -> Json:
    """One profile a role, of stacks with their counts."""
    places: dict[str, int] = {}
    profiles = []
    for role, found in stacks.items():
        ordered = sorted(found)
        profiles.append(
            {
                "type": "sampled",
                "name": role,
                "unit": "none",
                "startValue": 0,
                "endValue": found.total(),
                "samples": [[places.setdefault(frame, len(places)) for frame in stack] for stack in ordered],
                "weights": [found[stack] for stack in ordered],
            }
        )
    return {
        "$schema": _SCHEMA,
        "exporter": "pgflow-stress",
        "name": "pgflow-stress profile",
        "shared": {"frames": [{"name": name} for name in places]},
        "profiles": profiles,
    }


def heaviest(stacks: Stacks) -> Json:
    """The functions with the most samples, as shares: their own, and with what they call, the outermost left out."""
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for stack, count in stacks.items():
        own[stack[-1]] += count
        for frame in set(stack):
            whole[frame] += count
    total = stacks.total()
    below = Counter({name: count for name, count in whole.items() if count < _EVERYTHING * total})
    return {"samples": total, "own": _shares(own, total), "with_callees": _shares(below, total)}


def _shares(counts: Counter[str], total: int) -> Sequence[tuple[str, float]]:
    return [(name, count / total) for name, count in counts.most_common(_HEAVIEST)]
