"""The course of a self-test: a clean job, damage to what it left, a job a mutant of functions, a clean job again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pgflow_stress.core.errors import SetUpFault
from pgflow_stress.core.exit_codes import ExitCode
from pgflow_stress.core.progress import Watch
from pgflow_stress.core.recording import Recording
from pgflow_stress.core.result import Check, Json
from pgflow_stress.engine.conclusion import Grounds
from pgflow_stress.engine.engine import Engine
from pgflow_stress.engine.measurement import Ending, Measured
from pgflow_stress.engine.self_test.base import Mutant, Where, plan
from pgflow_stress.engine.self_test.trial import Damaged, Planted, Trial, failed_checks
from pgflow_stress.target.base import Database, Target

# What a planted defect may do to its job; anything else is trouble of ours.
_EXPECTED = frozenset({ExitCode.CHECK_FAILED, ExitCode.TIMED_OUT})


@dataclass(frozen=True, slots=True)
class Control:
    """A job without any defect: nothing may alarm."""

    when: str
    checks: int
    alarms: tuple[str, ...]

    def as_json(self) -> Json:
        """As the document has it."""
        return {"when": self.when, "ok": not self.alarms, "checks": self.checks, "alarms": list(self.alarms)}


@dataclass(slots=True)
class Outcome:
    """What a self-test found, as it goes on."""

    wanted: int = 0  # mutants to try
    controls: list[Control] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)
    left_out: list[Mutant] = field(default_factory=list)  # that this version of pgflow has nothing to damage for
    endings: list[Ending] = field(default_factory=list)  # that are nobody's defect

    @property
    def caught(self) -> int:
        """Mutants that their check caught."""
        return sum(trial.catch is not None for trial in self.trials)

    @property
    def held(self) -> bool:
        """Whether every mutant was caught, and no clean job alarmed."""
        return self.caught == self.wanted and not any(control.alarms for control in self.controls)

    @property
    def complaint(self) -> str:
        """What did not hold, in a line."""
        alarmed = [f"alarm in the control {control.when}" for control in self.controls if control.alarms]
        missed = [trial.mutant.name for trial in self.trials if trial.catch is None]
        untried = self.wanted - len(self.trials)
        return "; ".join(
            [
                *alarmed,
                *([f"not caught: {', '.join(missed)}"] if missed else []),
                *([f"not tried: {untried}"] if untried else []),
            ]
        )


Tell = Callable[[Control | Trial], None]


class SelfTest:
    """Runs on an engine that has room for base.plans()."""

    def __init__(self, engine: Engine, target: Target, watch: Watch, tell: Tell) -> None:
        """Nothing is run yet; `tell` is given each finding as it comes."""
        self._engine = engine
        self._target = target
        self._watch = watch
        self._tell = tell
        self.outcome = Outcome()

    def run(self, mutants: Sequence[Mutant]) -> None:
        """Try each; what was found before an interrupt or a fault stays in `outcome`."""
        self.outcome.wanted = len(mutants)
        rows = [mutant for mutant in mutants if mutant.where is Where.ROWS]
        self._control("before", rows)
        for index, mutant in enumerate(mutant for mutant in mutants if mutant.where is Where.FUNCTIONS):
            if self._over:
                return
            self._keep_trial(self._job(mutant, index + 1))
        if not self._over:
            self._control("after", ())

    @property
    def _over(self) -> bool:
        return bool(self.outcome.endings)

    def _control(self, when: str, rows: Sequence[Mutant]) -> None:
        """A clean job; what it leaves is damaged by each of these mutants in turn."""
        alarms: list[str] = []

        def inspect(database: Database, held: Grounds) -> None:
            damaged = Damaged(database, held)
            try:
                alarms.extend(_named(damaged.look(None), "as it was left"))
                for mutant in rows:
                    self._engine.check_interrupted()
                    self._damage(damaged, mutant)
                alarms.extend(_named(damaged.look(None), "after every damage was rolled back"))
            finally:
                damaged.close()

        measured = self._engine.measure_one(plan(events=True), self._target, _keep_nothing, self._watch, 0, inspect)
        self._note(measured, frozenset({ExitCode.CHECK_FAILED}))
        alarms += _named(failed_checks(measured), "of a clean job")
        alarms += [ending.reason for ending in measured.endings if ending.code is not ExitCode.INTERRUPTED]
        checks = len(measured.repetition.audit.checks) if measured.repetition else 0
        control = Control(when, checks, tuple(dict.fromkeys(alarms)))
        self.outcome.controls.append(control)
        self._tell(control)

    def _damage(self, damaged: Damaged, mutant: Mutant) -> None:
        if mutant.needs_column is not None and not damaged.has(*mutant.needs_column):
            self.outcome.left_out.append(mutant)
            self.outcome.wanted -= 1
            return
        began = time.monotonic()
        failed: tuple[Check, ...] = ()
        trouble = ""
        try:
            failed = damaged.look(mutant)
        except SetUpFault as fault:
            trouble = str(fault)
        self._keep_trial(Trial(mutant, failed, time.monotonic() - began, trouble))

    def _job(self, mutant: Mutant, index: int) -> Trial:
        began = time.monotonic()
        job = plan(events=mutant.events, stalls=mutant.stalls)
        measured = self._engine.measure_one(job, Planted(self._target, mutant), _keep_nothing, self._watch, index)
        self._note(measured, _EXPECTED)
        trouble = "; ".join(ending.reason for ending in measured.endings if ending.code not in _EXPECTED)
        return Trial(mutant, failed_checks(measured), time.monotonic() - began, trouble)

    def _note(self, measured: Measured, expected: frozenset[ExitCode]) -> None:
        self.outcome.endings += [ending for ending in measured.endings if ending.code not in expected]

    def _keep_trial(self, trial: Trial) -> None:
        self.outcome.trials.append(trial)
        self._tell(trial)


def _named(checks: Sequence[Check], when: str) -> list[str]:
    return [f"{check.name} ({when}): found {check.found}" for check in checks]


def _keep_nothing(_recording: Recording) -> None:
    """A self-test measures nothing."""
