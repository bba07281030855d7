"""An observer's books in private memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pgflow_stress.core.arena import MOST_STRAYS, RUN_WORDS, STRAY_DTYPE
from pgflow_stress.core.events import places_per_run
from pgflow_stress.core.ids import run_id
from pgflow_stress.engine.private_books import new_region
from pgflow_stress.scenario.flow import FlowShape
from pgflow_stress.scenario.workload import workload
from pgflow_stress_hot.account import Account
from pgflow_stress_hot.events import EventBook
from pgflow_stress_hot.slugs import SlugTable

NONCE = 0x1234_5678_9ABC_DEF0
RUNS = 4


@dataclass(frozen=True)
class EventBooks:
    """The books, and the arrays behind them."""

    book: EventBook
    account: Account
    header: npt.NDArray[np.int64]
    words: npt.NDArray[np.int64]
    stats: npt.NDArray[np.int64]
    runs: npt.NDArray[np.int64]
    caused: npt.NDArray[np.int64]
    received: npt.NDArray[np.uint8]
    strays: npt.NDArray[np.void]

    def receive(self, run: int, event: str, at_ns: int = 1_000_000) -> None:
        self.book.receive(f"pgflow:run:{run_id(NONCE, run)}".encode(), event.encode(), at_ns)


def new_event_books(shape: FlowShape) -> EventBooks:
    """Books of four runs of one flow."""
    private = new_region(4096)
    header = np.zeros(64, dtype=np.int64)
    work = workload(shape, 1, RUNS)
    tasks = RUNS * shape.tasks_per_run
    runs = np.zeros((RUNS, RUN_WORDS), dtype=np.int64)
    caused = np.zeros(tasks, dtype=np.int64)
    received = np.zeros((RUNS, places_per_run(len(shape.steps))), dtype=np.uint8)
    strays = np.zeros(MOST_STRAYS, dtype=STRAY_DTYPE)
    account = Account(
        private.region,
        header,
        runs,
        work.run_flow(),
        work.first_task(),
        np.zeros(tasks, dtype=np.uint8),
        np.array([step.tasks for step in shape.steps], dtype=np.int64),
        np.array(shape.step_offsets(), dtype=np.int64),
        work.flow_steps(),
        np.zeros((1, 1), dtype=np.int64),
        np.zeros((1, 1), dtype=np.int64),
        np.full(1, -1, dtype=np.int64),
        0,
        run_id(NONCE, 0).bytes,
        SlugTable([b"flow"]),
        SlugTable([step.slug.encode() for step in shape.steps]),
        caused,
    )
    book = EventBook(account, received, strays.view(np.uint8), [list(step.deps) for step in shape.steps])
    return EventBooks(book, account, header, private.words, private.stats, runs, caused, received, strays)
