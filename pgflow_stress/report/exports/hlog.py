"""The HdrHistogram logs of saved results."""

from __future__ import annotations

from collections.abc import Sequence

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.report.saved import Saved


def render(saved: Sequence[Saved]) -> str:
    """The logs as they were written, one after another: readers take a new start time as it comes.

    Raises:
        UsageFault: a result came without its histograms, or with a file that is no text.
    """
    texts = []
    for one in saved:
        try:
            texts.append(one.log.read_text(encoding="utf-8"))
        except OSError as error:
            raise UsageFault(f"{one.name}: no histograms at {one.log}: {error.strerror or error}") from None
        except UnicodeDecodeError:
            raise UsageFault(f"{one.name}: {one.log} is no HdrHistogram log") from None
    return "".join(texts)
