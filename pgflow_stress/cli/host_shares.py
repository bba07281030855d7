"""Each host's share of a load: its plan, and the arguments that ask its `run` for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.core.units import NS_PER_SECOND
from pgflow_stress.report.sections.reproduce import arguments_of
from pgflow_stress.scenario.plan import Plan, make_plan
from pgflow_stress.scenario.schedule import Arrival, Stage

_FEWEST = 1


def split(whole: int, parts: int) -> list[int]:
    """A number dealt out as evenly as it goes, the larger shares first."""
    return [whole // parts + (place < whole % parts) for place in range(parts)]


def check_shares(plan: Plan, hosts: int, *, workers_given: bool) -> None:
    """Whether there is a part for each of so many hosts.

    Raises:
        UsageFault: there is less to do than there are hosts, or what cannot be done by several.
    """
    options = plan.options
    if options.own_flows:
        raise UsageFault(
            "--hosts: a flow of your own is a file of this host; install it in the database, or run by hand"
        )
    if options.workers < hosts and workers_given:
        raise UsageFault(f"--workers {options.workers} over {hosts} hosts: give at least {hosts}")
    if plan.load_model != "open" and plan.runs < hosts:
        raise UsageFault(
            f"{plan.scenario}: {plan.runs} runs over {hosts} hosts: a run is of one host; give --runs {hosts} or more"
        )
    if options.in_flight is not None and options.in_flight < hosts:
        raise UsageFault(f"--in-flight {options.in_flight} over {hosts} hosts: give at least {hosts}")


def shares(plan: Plan, hosts: Sequence[str], *, workers_given: bool) -> list[Plan]:
    """The plan of each host: its part of workers, runs, flows and rate, with an arrival seed of its own.

    Raises:
        UsageFault: as `check_shares`.
    """
    check_shares(plan, len(hosts), workers_given=workers_given)
    n, options = len(hosts), plan.options
    workers, runs, flows = split(max(n, options.workers), n), split(plan.runs, n), split(plan.flows, n)
    in_flight = split(options.in_flight, n) if options.in_flight is not None else [None] * n
    starters = split(max(n, options.starters), n) if options.starters is not None else [None] * n
    stages = tuple(Stage(stage.seconds, stage.per_second / n) for stage in options.stages)
    sized = dict(plan.values)
    found = []
    for place, host in enumerate(hosts):
        mine = replace(
            options,
            workers=workers[place],
            runs=None if plan.load_model == "open" else runs[place],
            flows=max(_FEWEST, flows[place]),
            in_flight=in_flight[place],
            starters=starters[place],
            stages=stages,
            duration_seconds=sum(stage.seconds for stage in stages) if stages else options.duration_seconds,
            steps=None,
            parameters=tuple(sized.items()),
            scale=1.0,
            repetitions=1,
            warmup=0,
            history=0,  # a database that is shared is as old as it is
            host_id=host,
        )
        found.append(make_plan(plan.scenario, mine))
    return found


def arguments(share: Plan) -> list[str]:
    """What asks for a share; the target, and when to start, come on top."""
    parameters = share.parameters()
    if share.load_model == "open":
        del parameters["runs"]
    return arguments_of(share.scenario, parameters)


def delays_ns(plan: Plan, hosts: int) -> list[int]:
    """By how much each host starts later, so that constant arrivals of all of them are constant, too."""
    if plan.load_model != "open" or plan.options.arrival is not Arrival.CONSTANT:
        return [0] * hosts
    spacing_ns = NS_PER_SECOND / plan.options.stages[0].per_second
    return [round(place * spacing_ns) for place in range(hosts)]
