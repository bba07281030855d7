"""`compare --fail-on 'process.per_second<-5%'`: a gate on a verdict and its size."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from dataclasses import dataclass

from pgflow_stress.analysis.metrics import METRICS, describe
from pgflow_stress.core.errors import UsageFault

_FORM = re.compile(r"\s*(?P<metric>[\w.]+)\s*(?P<op><\s*-|>\s*\+)\s*(?P<number>\d+(?:\.\d*)?|\.\d+)\s*%\s*")
_MOST_SUGGESTIONS = 5
_ALL = 100.0  # nothing falls by more
_MOST = 1e6


@dataclass(frozen=True, slots=True)
class FailOn:
    """Fires where the metric's verdict is *worse* and its change is beyond `limit`, a signed share: -0.05 for -5 %."""

    text: str
    metric: str
    limit: float

    def is_beyond(self, ratio: float) -> bool:
        """Whether a ratio of candidate to base lies beyond the limit."""
        change = ratio - 1
        return change < self.limit if describe(self.metric).better == "higher" else change > self.limit


def parse(text: str, measured: Collection[str] = ()) -> FailOn:
    """Read METRIC<-N% or METRIC>+N%: of the two the one that is worse for the metric.

    Args:
        text: as it was typed.
        measured: names that results hold, beside those that are known.
    Raises:
        UsageFault: not of this form, an unknown metric (near names are listed), a change that is never worse.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise UsageFault(f"--fail-on {text!r}: write METRIC<-N% or METRIC>+N%, as in 'process.per_second<-5%'")
    name, percent = found["metric"], float(found["number"])
    require_metric(f"--fail-on {text!r}", name, measured)
    falls = found["op"].startswith("<")
    if falls != (describe(name).better == "higher"):
        worse = "<-N%" if falls is False else ">+N%"
        raise UsageFault(f"--fail-on {text!r}: {describe(name).better} is better for {name}; write {name}{worse}")
    if (falls and percent >= _ALL) or percent > _MOST:
        raise UsageFault(f"--fail-on {text!r}: no change is beyond {percent:g} %")
    return FailOn(text.strip(), name, (-percent if falls else percent) / 100)


def require_metric(what: str, name: str, measured: Collection[str]) -> None:
    """Check that a metric is known or measured, and that one way is better.

    Args:
        what: names the option in the message.
        name: the metric.
        measured: names that results hold.
    Raises:
        UsageFault: it is unknown (near names are listed), or neither more nor less of it is better.
    """
    known = {*METRICS, *measured}
    if name not in known:
        near = difflib.get_close_matches(name, sorted(known), n=_MOST_SUGGESTIONS, cutoff=0.5)
        suggested = ", ".join(near or ("execute.per_second", "process.per_second", "process.latency_ns.p99"))
        raise UsageFault(f"{what}: no metric {name!r}; near it: {suggested}")
    if describe(name).better is None:
        raise UsageFault(f"{what}: neither more nor less of {name} is better")
