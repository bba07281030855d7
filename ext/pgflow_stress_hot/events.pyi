import numpy as np
import numpy.typing as npt

from pgflow_stress_hot.account import Account

class EventBook:
    def __init__(
        self,
        account: Account,
        received: npt.NDArray[np.uint8],
        strays: npt.NDArray[np.uint8],
        deps: list[list[int]],
    ) -> None: ...
    def find(self, topic: bytes, name: bytes) -> tuple[int, int]: ...
    def cause_ns(self, place: int) -> int: ...
    def follows(self, place: int) -> bool: ...
    def receive(self, topic: bytes, name: bytes, received_ns: int) -> None: ...
    def count_stored(
        self, copied: bytes, stored: npt.NDArray[np.uint8]
    ) -> tuple[int, int, list[tuple[int, bytes]]]: ...
