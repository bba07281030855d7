import numpy as np
import numpy.typing as npt

from pgflow_stress_hot.account import Account
from pgflow_stress_hot.connection import BorrowedConnection

class Cycle:
    def __init__(
        self,
        account: Account,
        worker_id: bytes,
        queues: npt.NDArray[np.int64],
        own_queues: int,
        poll_size: int,
        per_completion: int,
        window: int,
        batched: bool,
        read_ahead: bool,
        output: bytes,
        idle_kind: int,
        idle_ns: int,
        max_poll_seconds: int,
        poll_interval_ms: int,
        delay_ns: int = 0,
    ) -> None: ...
    def run(self, connection: BorrowedConnection) -> int: ...
