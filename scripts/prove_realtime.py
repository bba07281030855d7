"""`--events realtime` at size, against the stand-in of tests/fixtures: every event accounted for by id.

clean: nothing is done to the client, and everything arrives. cuts: its connections are cut five times under load.
limits: channels are closed by a rate limit, joins are refused by one, messages are dropped by an overflow; and the same
allowed. What is missing is held, id by id, against what the stand-in says it did not send: the hosted service cannot
run here, and tells nobody. Prints a line of JSON a proof; 1 where one did not hold.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the stand-in is the tests'

from _planted import tell, tool

from pgflow_stress.core.ids import new_nonce
from pgflow_stress.target.base import TargetOptions
from pgflow_stress.target.opening import open_target
from tests.fixtures.realtime_server import RealtimeServer, jwt

CUTS = 5
LIMITED, REFUSED, OVERFLOWN = 5, 3, 20
STEPS = 124
EVENTS_A_RUN = 2 + 2 * STEPS
Meddle = Callable[[RealtimeServer, int, threading.Event], None]  # with how many events will be sent


def leave_alone(_server: RealtimeServer, _events: int, _stop: threading.Event) -> None:
    """Nothing."""


def cut(server: RealtimeServer, events: int, stop: threading.Event) -> None:
    """Five times, evenly over what is sent."""
    for number in range(1, CUTS + 1):
        while _sent(server) < number * events // (CUTS + 2):
            if stop.wait(0.02):
                return
        server.disconnect()


def limit(server: RealtimeServer, events: int, stop: threading.Event) -> None:
    """After a third a rate limit, after two an overflow; joins again are refused by a rate limit as well."""
    while _sent(server) < events // 3:
        if stop.wait(0.02):
            return
    server.faults.refuse_joins, server.faults.limit_messages = REFUSED, LIMITED
    while _sent(server) < 2 * events // 3:
        if stop.wait(0.02):
            return
    server.faults.overflow = OVERFLOWN


def _sent(server: RealtimeServer) -> int:
    return sum(server.sent.broadcast.values()) + sum(map(len, server.sent.unsent.values()))


def measure(runs: int, meddle: Meddle, *more: str) -> tuple[int, Any, RealtimeServer]:
    """One run on a database of its own."""
    with open_target(TargetOptions(), lambda _line: None, {}) as target:
        database = target.acquire(new_nonce())
        try:
            with RealtimeServer(database.conninfo) as server:
                stop = threading.Event()
                meddling = threading.Thread(target=meddle, args=(server, runs * EVENTS_A_RUN, stop))
                meddling.start()
                code, document = tool(
                    "run", "concurrent-flows", "--flows", 8, "--runs", runs, "--steps", STEPS, "--dsn",
                    database.conninfo, "--isolation", "prefix", "--events", "realtime", "--realtime-url", server.url,
                    "--realtime-key", jwt(), "--repetitions", 1, "--warmup", 0, *more,
                )  # fmt: skip
                stop.set()
                meddling.join()
                return code, document, server
        finally:
            target.release(database)


def account(code: int, document: Any, server: RealtimeServer) -> dict[str, Any]:
    """What was found, and whether it agrees with what the stand-in knows, id by id."""
    if document is None:
        raise SystemExit(f"a run ended with {code}: nothing is proven")
    events = document["repetitions"][0]["events"]
    expected = sum(events["expected"].values())
    missing = {text for one in events["differences"] for text in one["ids"]}
    unsent = {
        f"{topic.removeprefix('pgflow:run:')} {event}"
        for names in server.sent.unsent.values()
        for topic, event in names
        # Workers prime on runs of their own, which nobody joins; and marks are no run's.
        if topic.startswith("pgflow:run:") and server.joins[f"realtime:{topic}"]
    }
    return {
        "exit": code,
        "expected": expected,
        "received": sum(events["received"].values()),
        "missing": events["missing"],
        "duplicate": events["duplicate"],
        "unexpected": events["unexpected"],
        "answers": events["observer"]["answers"],
        "not_sent_by_the_stand_in": len(unsent),
        "not_sent_but_not_missing": len(unsent - missing),
        "missing_though_sent": len(missing - unsent),
        "adds_up": expected == sum(events["received"].values()) + events["missing"]
        and events["missing"] == len(missing),
    }


def main() -> int:
    """Run the proofs; 1 where one did not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200, help=f"of {EVENTS_A_RUN} events each")
    given = parser.parse_args()
    held = []

    found = account(*measure(given.runs, leave_alone))
    held.append(found["exit"] == 0 and found["missing"] == 0 and found["adds_up"] and not found["answers"])
    tell(proof="clean", **found, held=held[-1])

    found = account(*measure(given.runs, cut))
    # What was written to a connection that was cut was sent, and never came: it is missing, and no more is.
    held.append(
        found["exit"] == 4 and found["adds_up"] and not found["not_sent_but_not_missing"]
        and found["answers"].get("CHANNEL_ERROR", 0) >= CUTS
    )  # fmt: skip
    tell(proof="cuts", times=CUTS, **found, held=held[-1])

    for allowed in ((), ("--allow-rate-limit",)):
        found = account(*measure(given.runs, limit, *allowed))
        exact = not found["not_sent_but_not_missing"] and not found["missing_though_sent"] and found["adds_up"]
        told = found["answers"].get("rate limit", 0) >= LIMITED and found["answers"].get("overflow") == OVERFLOWN
        # An overflow is no limit: it fails the run either way.
        held.append(found["exit"] == 4 and exact and told)
        tell(proof="limits", allowed=bool(allowed), **found, held=held[-1])
    tell(proof="realtime", events=given.runs * EVENTS_A_RUN, held=all(held))
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
