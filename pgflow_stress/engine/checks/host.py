"""Checks of the machine: its processors, its clock, its load of the moment, its memory."""

from __future__ import annotations

from pgflow_stress.core.checkup import Finding, bad, ok, warn
from pgflow_stress.core.units import BYTES_PER_MIB
from pgflow_stress.engine.checks.facts import Facts

_BUSY_WARN, _BUSY_BAD = 0.05, 0.25  # of all processors, while we slept
_STEAL_WARN, _STEAL_BAD = 0.005, 0.05
_LEAST_MEMORY_BYTES = 1024 * BYTES_PER_MIB
_PARAVIRTUAL = ("kvm-clock", "hyperv_clocksource_tsc_page")  # read without a system call all the same
_X86 = ("x86_64", "AMD64", "i686")


def libpq(facts: Facts) -> Finding | None:
    """Which libpq psycopg and the extension share."""
    return ok(facts.libpq.describe()) if facts.libpq else None


def psycopg(facts: Facts) -> Finding | None:
    """Which half of psycopg is in use."""
    if facts.psycopg is None:
        return None
    if facts.psycopg == "c":
        return ok("psycopg uses its C half")
    return bad(f"psycopg uses its {facts.psycopg} half", "run scripts/build")


def cores(facts: Facts) -> Finding:
    """Whether workers and server have cores of their own."""
    cpus, workers = len(facts.machine["cpus_usable"]), facts.workers
    said = f"{cpus} CPU{'' if cpus == 1 else 's'} usable, {workers} worker{'' if workers == 1 else 's'} by default"
    if facts.server is not None and not facts.server.local:
        return ok(f"{said}, the server is elsewhere")
    if cpus < 2:
        return warn(f"{said}: client and server share the only one", "use a machine with more cores, or a server apart")
    return warn(
        f"{said}, and the server runs here too: co-located, each takes CPU from the other",
        f"--workers {cpus // 2} --pin worker={_first_half(facts)},postgres={_second_half(facts)}, or a server apart",
    )


def _first_half(facts: Facts) -> str:
    cpus = facts.machine["cpus_usable"]
    return ",".join(map(str, cpus[: len(cpus) // 2]))


def _second_half(facts: Facts) -> str:
    cpus = facts.machine["cpus_usable"]
    return ",".join(map(str, cpus[len(cpus) // 2 :]))


def smt(facts: Facts) -> Finding:
    """Whether CPUs share a core."""
    groups = facts.machine["smt_siblings"]
    if not groups:
        return ok("no two usable CPUs share a core")
    shown = "; ".join(",".join(map(str, group)) for group in groups[:3])
    return warn(
        f"CPUs share cores ({shown}{'; …' if len(groups) > 3 else ''})",
        "pin workers and server to CPUs of different cores: --pin worker=…,postgres=…",
    )


def cpu_quota(facts: Facts) -> Finding:
    """Whether the control group throttles."""
    quota, cpus = facts.machine["cpu_quota"], len(facts.machine["cpus_usable"])
    if quota is None:
        return ok("no CPU quota")
    if quota >= cpus:
        return ok(f"a CPU quota of {quota:g}, not below the {cpus} CPUs")
    return bad(
        f"a CPU quota of {quota:g} on {cpus} CPUs: whoever uses it up is stopped for tens of milliseconds",
        "lift the container's CPU limit, or give it whole CPUs (cpuset) instead",
    )


def governor(facts: Facts) -> Finding:
    """Whether the clock rate of the processor moves."""
    name = facts.machine["governor"]
    if name == "performance":
        return ok("CPU governor performance")
    if name is None:
        return ok(f"no CPU governor to be seen{' (virtual machine)' if facts.machine['virtualised'] else ''}")
    return warn(f"CPU governor {name}: clock rates follow the load", "sudo cpupower frequency-set -g performance")


def turbo(facts: Facts) -> Finding | None:
    """Whether the clock rate depends on how many cores are busy."""
    if facts.turbo is None:
        return None
    if not facts.turbo:
        return ok("turbo is off")
    return warn(
        "turbo is on: clock rates depend on temperature and on how many cores are busy",
        "for comparisons: echo 1 | sudo tee /sys/devices/system/cpu/intel_pstate/no_turbo (or cpufreq/boost: 0)",
    )


def clock_source(facts: Facts) -> Finding | None:
    """Whether reading the clock is cheap."""
    source = facts.machine["clock_source"]
    if source is None or facts.machine["architecture"] not in _X86:
        return None
    if source == "tsc":
        return ok("clock source tsc")
    if source in _PARAVIRTUAL:
        return warn(f"clock source {source}: dearer to read than tsc", "boot the guest with clocksource=tsc if it may")
    return bad(
        f"clock source {source}: each stamp is a system call",
        "boot with clocksource=tsc tsc=reliable where the processor's is stable, or use another machine",
    )


def load(facts: Facts) -> Finding:
    """Whether something else runs."""
    busy = facts.load.busy
    said = f"CPUs {100 * busy:.0f} % busy while doctor slept"
    mend = "see `top`, and wait until it is quiet"
    if busy >= _BUSY_BAD:
        return bad(f"{said}: something else runs", mend)
    return warn(f"{said}: something else runs", mend) if busy >= _BUSY_WARN else ok(said)


def steal(facts: Facts) -> Finding:
    """Whether the hypervisor gives our time to others."""
    share = facts.load.steal
    said = f"{100 * share:.1f} % of CPU time stolen by the hypervisor"
    mend = "use a machine with dedicated CPUs; run more repetitions and compare interleaved"
    if share >= _STEAL_BAD:
        return bad(said, mend)
    return warn(said, mend) if share >= _STEAL_WARN else ok(said)


def memory(facts: Facts) -> Finding:
    """Whether there is room for the server's buffers and for what is recorded."""
    limit, available = facts.machine["memory_limit_bytes"], facts.memory_available_bytes
    room = min(available, limit) if limit else available
    said = f"{room / BYTES_PER_MIB:,.0f} MiB of memory available"
    if limit and limit < facts.machine["memory_bytes"]:
        said += f", the control group's limit is {limit / BYTES_PER_MIB:,.0f} MiB"
    return warn(said, "free memory, or raise the limit") if room < _LEAST_MEMORY_BYTES else ok(said)


def swap(facts: Facts) -> Finding:
    """Whether pages were put out."""
    used = facts.swap_used_bytes
    if used < BYTES_PER_MIB:
        return ok("no swap in use")
    return warn(f"{used / BYTES_PER_MIB:,.0f} MiB of swap in use", "sudo swapoff -a, once memory is free enough")


def huge_pages(facts: Facts) -> Finding | None:
    """Whether the kernel puts pages together behind our backs."""
    mode = facts.machine["transparent_hugepages"]
    if mode is None:
        return None
    if mode != "always":
        return ok(f"transparent huge pages: {mode}")
    return warn(
        "transparent huge pages: always, which stalls processes now and then",
        "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled",
    )
