"""Proofs of `sweep`: by its own output, on the real target.

    killed     4 x 3 x 2 cells, killed five times with -9 at moments of the seed and gone on with: the cells of an
               undisturbed sweep, none twice, nothing left behind; another grid is refused
    planted    a cost of O(n) in add_step or complete_task is found, and complete_task without it is flat
    fits       synthetic curves and laws with known parameters; a target with a sleep and a lock of known time, up to
               32 backends, against the closed form (--synthetic, --real: one of the two)
    ties       the best of 24 equal cells is a tie: simulated, then --real sweeps of --cells equal cells

Each may be named alone. Prints a line of JSON each; ends with 1 where one did not hold.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def main() -> int:
    """Read the command line; 1 where a proof did not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    commands = parser.add_subparsers(dest="command", required=True)
    killed = commands.add_parser("killed")
    killed.add_argument("--times", type=int, default=5, help="kills [5]")
    killed.add_argument("--repetitions", type=int, default=2, help="of each cell [2]")
    planted = commands.add_parser("planted")
    planted.add_argument("functions", nargs="*", metavar="add_step|complete_task", help="[both]")
    planted.add_argument("--steps", default="50,150,500,1500", help="sizes [50,150,500,1500]")
    planted.add_argument("--repetitions", type=int, default=5)
    planted.add_argument("--side", choices=("planted", "none"), help="one of the two alone [both]")
    fits = commands.add_parser("fits")
    fits.add_argument("--synthetic", type=int, default=100, metavar="N", help="curves and laws; 0: none [100]")
    fits.add_argument("--real", type=int, default=10, metavar="N", help="sweeps of the planted target; 0: none [10]")
    fits.add_argument("--tasks", type=int, default=288, help="of a repetition, a multiple of 96 [288]")
    fits.add_argument("--repetitions", type=int, default=2, help="of each cell [2]")
    fits.add_argument("--hold-ms", type=float, default=12.0, help="alone under the lock [12]")
    fits.add_argument("--share-ms", type=float, default=108.0, help="asleep, from when the last hold ended [108]")
    ties = commands.add_parser("ties")
    ties.add_argument("--simulated", type=int, default=400, metavar="N", help="of each kind of noise; 0: none [400]")
    ties.add_argument("--recorded", type=Path, help="rates that `prove statistics record` kept: their noise as well")
    ties.add_argument("--real", type=int, default=1, metavar="N", help="sweeps; 0: none [1]")
    ties.add_argument("--cells", type=int, default=24)
    ties.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    return 0 if all(_proofs(given)) else 1


def _proofs(given: argparse.Namespace) -> list[bool]:
    if given.command == "killed":
        from _sweep_killed import prove_killed

        return [prove_killed(given.times, given.repetitions, given.seed)]
    if given.command == "planted":
        from _sweep_planted import prove_planted

        sides = (True, False) if given.side is None else (given.side == "planted",)
        return [prove_planted(given.functions, given.steps, given.repetitions, sides)]
    if given.command == "fits":
        import _sweep_fits as fits

        held = [fits.prove_synthetic(given.synthetic, given.seed)] if given.synthetic else []
        return held + ([fits.prove_real(given.real, given.seed, given)] if given.real else [])
    import _sweep_ties as ties

    held = [ties.prove_simulated(given.simulated, given.seed, given.recorded)] if given.simulated else []
    return held + ([ties.prove_real(given.real, given.seed, given.cells, given.rounds)] if given.real else [])


if __name__ == "__main__":
    sys.exit(main())
