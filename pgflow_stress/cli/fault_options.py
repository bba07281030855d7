"""--fault: which there are, which go with what, and what they make of the other options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pgflow_stress.cli.run_options import DEFAULT_RECONNECT_SECONDS
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.scenario.faults import FaultSpec, parse_fault


def checked_faults(values: Mapping[str, Any]) -> tuple[FaultSpec, ...]:
    """The faults that are asked for.

    Raises:
        UsageFault: no such fault, not on this target, or lasting where it does not.
    """
    if not values.get("fault"):  # of a command that has no faults
        return ()
    from pgflow_stress.engine.faults import FAULTS  # noqa: PLC0415  pulls in numpy

    specs = tuple(parse_fault(text) for text in values["fault"])
    for spec in specs:
        fault = FAULTS.get(spec.name)
        if fault is None:
            raise UsageFault(f"--fault {spec.text!r}: no such fault; there are {', '.join(FAULTS)}")
        if fault.own_server and values["dsn"]:
            raise UsageFault(f"--fault {spec.text!r} needs the embedded server: a given one is not ours to be stopped")
        if values["worker_model"] != "ceiling" and not fault.any_model:
            able = ", ".join(one.name for one in FAULTS.values() if one.any_model)
            raise UsageFault(
                f"--fault {spec.text!r}: workers of the model {values['worker_model']} do not connect again; "
                f"with them there are {able}"
            )
        if spec.lasts_seconds is not None and fault.lasts_seconds is None:
            raise UsageFault(f"--fault {spec.text!r}: {spec.name} does not last: leave :{spec.lasts_seconds:g}s out")
    _check_losses(specs, values)
    return specs


def _check_losses(specs: tuple[FaultSpec, ...], values: Mapping[str, Any]) -> None:
    settings = {
        name.strip().lower(): value.strip() for name, _, value in (s.partition("=") for s in values["pg_setting"])
    }
    crashes = any(spec.name == "restart-immediate" for spec in specs)
    if not crashes or settings.get("synchronous_commit") != "off":
        return
    if values.get("soak"):
        raise UsageFault(
            "--fault restart-immediate with synchronous_commit=off and --soak: what is lost is known by rows, and a "
            "soak does not keep all of them; leave one of the three out"
        )
    if values["events"] == "notify":
        raise UsageFault(
            "--fault restart-immediate with synchronous_commit=off and --events notify: what is heard of a "
            "transaction that is lost cannot be told apart; give --events wal"
        )


def reconnect_seconds(values: Mapping[str, Any]) -> float:
    """How long a lost connection is tried to be had again."""
    if values["worker_model"] != "ceiling":  # one with a pool of connections is replaced
        return 0.0
    budget = values.get("reconnect_budget")
    if budget is not None:
        return float(budget)
    return DEFAULT_RECONNECT_SECONDS if values.get("fault") else 0.0
