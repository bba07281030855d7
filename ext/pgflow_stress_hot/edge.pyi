from pgflow_stress_hot.connection import BorrowedConnection
from pgflow_stress_hot.durations import Durations
from pgflow_stress_hot.kit import Toolkit

class EdgeCycle:
    def __init__(
        self,
        toolkit: Toolkit,
        durations: Durations,
        concurrency: int,
        heartbeat_ns: int,
        statements: list[bytes],
        outputs: list[bytes],
        status_field: int,
    ) -> None: ...
    @property
    def work_ns(self) -> int: ...
    def run(self, connections: list[BorrowedConnection]) -> int: ...
