"""Where the server's time went: of `profile` alone."""

from __future__ import annotations

from pgflow_stress.core.result import Json
from pgflow_stress.report import profile as told
from pgflow_stress.report.subject import Subject
from pgflow_stress.report.tables import folded, table
from pgflow_stress.report.telemetry import why_one_run_does_not_scale

_MOST_ROWS = 40


def profile_view(subject: Subject) -> Json | None:
    """Tables of rows, functions, waits and plans, and lines; None where no profile was taken."""
    profile = subject.result.profile
    if not profile:
        return None
    of = "CPU time" if told.measure_of(profile) == "cpu" else "wall time"
    return {
        "lines": [
            ("Saturated", told.saturation(profile)),
            ("Adds up", told.adding_up(profile)),
            ("By kind", told.set_up(profile)),
            ("One run", why_one_run_does_not_scale(subject.result)),
            ("Locks", told.blocked_by(profile)),
            *(("Call graphs", line) for line in told.graph_lines(profile)),
            ("Not seen", "; ".join(profile["not_seen"])),
        ],
        "sides": table(
            "The workers' time in the process phase", ("side", "a task", "share"), told.sides(profile), 2
        ),
        "rows": table(
            f"Cost of a task in the server: {of} of each function and nested statement without what it calls",
            ("in", "a task", "share", "calls a task"),
            [(folded(place), *numbers) for *numbers, place in told.cost_rows(profile, _MOST_ROWS)], 3,
        ),
        "functions": table(
            f"{of} of each function and its statements, without the functions that it calls",
            ("function", "a task", "share", "set-up of statements", "planning", "executing"),
            told.function_rows(profile), 5,
        ),
        "waits": table(
            "What executing backends were held up by; taken out of the rows above",
            ("wait", "a task", "in"), [(*most, folded(place)) for *most, place in told.wait_rows(profile)], 1, more=1,
        ),
        "plans": table(
            "A sample: the heaviest nodes of nested statements, of one run of two steps in a session of its own",
            ("function", "line", "statement", "node", "its own", "rows"),
            [(name, line, folded(text), *most) for name, line, text, *most in told.plan_rows(profile)], 2,
        ),
    }  # fmt: skip
