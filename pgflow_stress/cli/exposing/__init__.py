"""`--prometheus PORT`: where a run stands, for a Prometheus to scrape while it goes on.

What it takes is loaded only where it was asked for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pgflow_stress.cli.exposing.endpoint import Endpoint
    from pgflow_stress.cli.progress import QuietWatch


@contextlib.contextmanager
def listening(port: int | None) -> Iterator[Endpoint | None]:
    """The endpoint for the length of a block; None where none was asked for.

    Raises:
        UsageFault: the port cannot be had; nothing was touched.
    """
    if port is None:
        yield None
        return
    from pgflow_stress.cli.exposing.endpoint import Endpoint  # noqa: PLC0415

    with contextlib.closing(Endpoint(port)) as endpoint:
        yield endpoint


def exposed(watch: QuietWatch, endpoint: Endpoint | None) -> QuietWatch:
    """The same watch, whose news go to the endpoint as well, where there is one."""
    if endpoint is None:
        return watch
    from pgflow_stress.cli.exposing.watch import ExposingWatch  # noqa: PLC0415

    return ExposingWatch(watch, endpoint)
