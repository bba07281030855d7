import numpy as np
import numpy.typing as npt

from pgflow_stress_hot.recorder import Region
from pgflow_stress_hot.slugs import SlugTable

class Account:
    def __init__(
        self,
        region: Region,
        header: npt.NDArray[np.int64],
        runs: npt.NDArray[np.int64],
        run_flow: npt.NDArray[np.int64],
        first_task: npt.NDArray[np.int64],
        ledger: npt.NDArray[np.uint8],
        step_tasks: npt.NDArray[np.int64],
        step_offsets: npt.NDArray[np.int64],
        flow_steps: npt.NDArray[np.int64],
        started: npt.NDArray[np.int64],
        done: npt.NDArray[np.int64],
        steps_created: npt.NDArray[np.int64],
        me: int,
        first_run_id: bytes,
        flow_slugs: SlugTable,
        step_slugs: SlugTable,
        caused: npt.NDArray[np.int64] | None = None,
        failing: tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64], int] | None = None,
    ) -> None: ...
    region: Region
    def run_index(self, run_id: bytes) -> int: ...
    def run_id(self, run_index: int) -> bytes: ...
    def flow_of(self, run: int) -> int: ...
    def left(self, flow: int) -> int: ...
    def settle(self, run: int, step: int, task: int, adopted: bool) -> bool: ...
    def take_back(self, run: int, step: int, task: int, acknowledged_ns: int) -> bool: ...
    def fails(self, place: int) -> bool: ...
    def fail_run(self, run: int) -> None: ...
    def settle_start(self, run: int) -> bool: ...
