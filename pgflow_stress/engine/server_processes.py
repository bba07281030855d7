"""The processes of a server on this host: found by one of its backends, and what CPU time they have used together."""

from __future__ import annotations

from collections.abc import Collection

from pgflow_stress.engine.proc import children, parse_schedstat, parse_stat, read


def find_postmaster(backend: int) -> int | None:
    """The process that forked a backend, where the number is of this host and of a server's process; else None.

    A server in a container, or behind a port that is forwarded, names processes that are not here or are others.
    """
    stat = read(f"/proc/{backend}/stat")
    title = read(f"/proc/{backend}/cmdline") or b""
    if stat is None or not title.startswith(b"postgres:"):
        return None
    parent = parse_stat(stat).parent
    command = read(f"/proc/{parent}/comm") or b""
    return parent if command.strip() in (b"postgres", b"postmaster") else None


def server_cpu_ns(postmaster: int, without: Collection[int] = ()) -> int | None:
    """CPU time that a server has used so far, ns: of its living processes, and of those that have ended.

    The difference of two readings is what it used in between, whichever backends came and went: a process that has
    ended is counted with its parent, by ticks of 10 ms. None where it cannot be read.

    Args:
        postmaster: its first process.
        without: backends that are not to count; they must live at both readings.
    """
    stat = read(f"/proc/{postmaster}/stat")
    if stat is None:
        return None
    total = parse_stat(stat).children_ns
    for pid in (postmaster, *children(postmaster)):
        used = read(f"/proc/{pid}/schedstat")
        if used and pid not in without:
            total += parse_schedstat(used)[0]
    return total
