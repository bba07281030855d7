"""The options of `--events realtime`: where Supabase Realtime is, what lets us in, and what its client needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from pgflow_stress.core.errors import SetUpFault, UsageFault
from pgflow_stress.scenario.options import RealtimeAccess
from pgflow_stress.scenario.plan import Plan

MOST_RUNS = 10_000  # a channel each, a hundred a connection: Realtime's largest published limit is 10,000 connections
_OPTIONS = ("realtime_url", "realtime_key", "realtime_jwt", "realtime_private", "allow_rate_limit")
_SCHEMES = ("ws", "wss", "http", "https")


def realtime_access(values: Mapping[str, Any]) -> RealtimeAccess | None:
    """What was given of it; None for any other transport.

    Raises:
        UsageFault: an option without the transport, or the transport without its options.
        SetUpFault: its client is not installed, or its host is not consented to.
    """
    if values["events"] != "realtime":
        for name in _OPTIONS:
            if values.get(name):
                raise UsageFault(f"--{name.replace('_', '-')} is for --events realtime: give that as well")
        return None
    url, key = values.get("realtime_url"), values.get("realtime_key")
    if not url or not key:
        raise UsageFault("--events realtime: give --realtime-url, and PGFLOW_STRESS_RUN_REALTIME_KEY or --realtime-key")
    host = _host(url)
    if values["observer_delay"]:
        raise UsageFault("--observer-delay is for notify and wal: Realtime's client is not slowed")
    if find_spec("realtime") is None:
        raise SetUpFault("--events realtime needs Supabase's client: pip install 'pgflow-stress[realtime]'")
    if not (_is_loopback(host) or values["allow_remote"]):
        raise SetUpFault(f"--realtime-url: {host} is another host: give --allow-remote if that is meant")
    return RealtimeAccess(url, key, values.get("realtime_jwt"), bool(values.get("realtime_private")))


def check_runs(plans: Iterable[Plan]) -> None:
    """Whether there are channels enough.

    Raises:
        UsageFault: there are not.
    """
    for plan in plans:
        if plan.options.realtime is not None and plan.runs > MOST_RUNS:
            raise UsageFault(
                f"--events realtime: {plan.runs:,} runs are as many channels: at most {MOST_RUNS:,}; give fewer --runs"
            )


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in _SCHEMES:
        raise UsageFault("--realtime-url: give ws://, wss://, http:// or https:// and a host")
    return host


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
