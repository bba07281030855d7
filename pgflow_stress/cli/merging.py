"""`report --merge`: the results of hosts that were run by hand, made one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pgflow_stress.cli.streams import say
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.core.exit_codes import ExitCode


def merge_hosts(paths: Sequence[Path], output: str | None) -> ExitCode:
    """Write one result of theirs; the code that all of them together end with.

    Raises:
        UsageFault: they do not belong together, or there is no place for the result; nothing was written.
    """
    from pgflow_stress.report.directory import ResultDirectory  # noqa: PLC0415  --help is quick
    from pgflow_stress.report.host_merge import (  # noqa: PLC0415
        by_repetition,
        check_groups,
        clock_words,
        merge_groups,
        read_hosts,
        together,
    )

    if output is None or output == "-":
        raise UsageFault("--merge makes a directory: give --output DIR")
    if len(paths) < 2:
        raise UsageFault("--merge takes the directories of at least two hosts")
    hosts = read_hosts(paths)
    groups = by_repetition(hosts)
    check_groups(groups)
    directory = ResultDirectory(Path(output))
    result = merge_groups(groups, directory, together(hosts))
    directory.finish(result)
    tasks = sum(repetition.tasks.completed for repetition in result.repetitions)
    say(f"written: {directory.path}, {len(hosts)} hosts, {tasks:,} tasks, {clock_words(groups)}")
    for text in result.outcome["reasons"]:
        say(text)
    audits = [one for one in result.repetitions if not one.audit.ok]
    code = ExitCode(result.outcome["exit_code"])
    return ExitCode.CHECK_FAILED if audits and code is ExitCode.DONE else code
