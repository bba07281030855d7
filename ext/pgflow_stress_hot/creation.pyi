import numpy as np
import numpy.typing as npt

from pgflow_stress_hot.account import Account
from pgflow_stress_hot.connection import BorrowedConnection

class Creator:
    def __init__(
        self,
        account: Account,
        flows: npt.NDArray[np.int64],
        deps: list[bytes],
        kinds: list[bytes],
        inputs: list[bytes],
        batched: bool,
        window: int,
        flows_per_statement: int,
        steps_per_statement: int,
        runs_per_statement: int,
        drains: bool = False,
    ) -> None: ...
    def create(self, connection: BorrowedConnection) -> int: ...
    def start(self, connection: BorrowedConnection, runs: npt.NDArray[np.int64]) -> int: ...
