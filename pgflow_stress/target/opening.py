"""The layer's door: options in, an open target out."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping

from pgflow_stress.core import paths
from pgflow_stress.core.errors import UsageFault
from pgflow_stress.target.base import Say, Target, TargetOptions
from pgflow_stress.target.choice import choose_target
from pgflow_stress.target.server_life import instances


@contextlib.contextmanager
def open_target(options: TargetOptions, say: Say, environment: Mapping[str, str] | None = None) -> Iterator[Target]:
    """The target that the options and the environment ask for, ready to give databases; closed with the block.

    Raises:
        SetUpFault: it can't be had; the message says what to do.
        UsageFault: an option's value can't be.
    """
    choice = choose_target(options, os.environ if environment is None else environment)
    if choice.embedded and options.direct_dsn:
        raise UsageFault("--direct-dsn is the way past a pooler: give the pooler's address as --dsn")
    if choice.embedded:
        from pgflow_stress.target.embedded import open_embedded  # noqa: PLC0415

        with open_embedded(options, say) as embedded:
            yield embedded
    else:
        from pgflow_stress.target.given import open_given  # noqa: PLC0415

        for instance in instances(paths.state_dir()):  # an earlier run that was killed may have used the embedded one
            instance.forsake()
        with open_given(options, choice, say) as given:
            yield given
