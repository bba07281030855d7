"""The table of mutants; a new one is a row in one of its two halves."""

from __future__ import annotations

from collections.abc import Sequence

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.engine.self_test.base import Mutant
from pgflow_stress.engine.self_test.in_functions import IN_FUNCTIONS
from pgflow_stress.engine.self_test.in_rows import IN_ROWS

MUTANTS: tuple[Mutant, ...] = (*IN_ROWS, *IN_FUNCTIONS)


def chosen(names: Sequence[str]) -> tuple[Mutant, ...]:
    """The mutants of these names, in the table's order; all for none.

    Raises:
        UsageFault: there is no such mutant.
    """
    known = {mutant.name for mutant in MUTANTS}
    for name in names:
        if name not in known:
            raise UsageFault(f"--mutant {name!r}: there is none; there are: {', '.join(sorted(known))}")
    return tuple(mutant for mutant in MUTANTS if not names or mutant.name in names)
