"""What `--probe-client` changes in a repetition, to see whether the client holds the rate."""

from __future__ import annotations

from enum import StrEnum

MORE_CLIENT_COST = 0.1  # of what a task costs the client, added to it


class Probe(StrEnum):
    """One kind of repetition; each comes once in a turn."""

    AS_IS = "as is"
    MORE_WORKERS = "one more worker"
    MORE_COST = "more client cost"
