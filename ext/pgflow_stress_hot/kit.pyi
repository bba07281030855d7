import numpy as np
import numpy.typing as npt

from pgflow_stress_hot.account import Account

class Toolkit:
    def __init__(
        self,
        account: Account,
        worker_id: bytes,
        queues: npt.NDArray[np.int64],
        own_queues: int,
        poll_size: int,
        per_completion: int,
        batched: bool,
        outputs: list[bytes],
        idle_kind: int,
        idle_ns: int,
        max_poll_seconds: int,
        poll_interval_ms: int,
        delay_ns: int = 0,
    ) -> None: ...
