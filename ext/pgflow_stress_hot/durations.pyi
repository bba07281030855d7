import numpy as np
import numpy.typing as npt

class Durations:
    def __init__(
        self,
        kinds: npt.NDArray[np.int64],
        scale_ns: npt.NDArray[np.float64],
        sigma: npt.NDArray[np.float64],
        seed: int,
    ) -> None: ...
    def of_task(self, step: int, place: int, attempt: int) -> int: ...
