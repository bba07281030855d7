"""The process that an agent starts on its host: `run` with the agent's arguments, or a look at the clock.

It ends when the agent does: SIGTERM, so that what is claimed is completed and the database is left clean.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from typing import NoReturn

from pgflow_stress.engine.hosts.agent import LOOK, PARENT

_PR_SET_PDEATHSIG = 1


def main() -> NoReturn:
    """Do what the agent asks."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != int(os.environ.pop(PARENT, "0")):  # it ended before the call
        sys.exit(int(signal.SIGTERM))
    if sys.argv[1:2] == [LOOK]:
        sys.exit(_look(sys.argv[2:]))
    from pgflow_stress.cli.main import main as run  # noqa: PLC0415

    run()


def _look(arguments: list[str]) -> int:
    """Print how this host's clock stands to the database's."""
    from pgflow_stress.cli.failing import tell  # noqa: PLC0415
    from pgflow_stress.core.errors import StressError  # noqa: PLC0415

    host, conninfo, *more = arguments
    try:
        print(json.dumps(looked(host, conninfo, allow_remote="--allow-remote" in more)))
    except StressError as fault:
        return int(tell(fault))
    return 0


def looked(host: str, conninfo: str, *, allow_remote: bool) -> dict[str, object]:
    """How this host's clock stands to the database's, and which database it is.

    Raises:
        SetUpFault: it cannot be reached, or the clocks cannot be related.
    """
    from dataclasses import asdict  # noqa: PLC0415

    from pgflow_stress.engine.hosts.relating import relate, server_of  # noqa: PLC0415
    from pgflow_stress.target.base import TargetOptions  # noqa: PLC0415
    from pgflow_stress.target.choice import choose_target  # noqa: PLC0415
    from pgflow_stress.target.given import reading  # noqa: PLC0415

    options = TargetOptions(dsn=conninfo, dsn_typed=True, allow_remote=allow_remote)
    with reading(options, choose_target(options, {})) as (connection, _):
        return {"clock": asdict(relate(connection, host, lambda: None)), "server": server_of(connection)}


if __name__ == "__main__":
    main()
