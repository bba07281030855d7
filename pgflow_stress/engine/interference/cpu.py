"""Others on the cores of this host: N threads that do nothing but compute, without Python's lock."""

from __future__ import annotations

import hashlib
import threading
import time

from pgflow_stress.core.result import Json
from pgflow_stress.engine.interference.base import Act, Interference, Means, NotHeld
from pgflow_stress.engine.server_processes import find_postmaster

_ROUNDS = 40_000  # of one look at whether it is over: some hundredths of a second
_FIRST_SECONDS = 0.2
_LEAST_SHARE = 0.002  # of a core and thread; below it the host gave it nothing
_MOST_THREADS = 256


class _Cpu(Act):
    def __init__(self, means: Means) -> None:
        self._means = means
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []

    def hold(self) -> Json:
        """The threads used CPU time."""
        self._means.connect()
        is_here = find_postmaster(self._means.backends[0]) is not None
        self._cpu_from, self._from = time.process_time(), time.monotonic()
        self._threads = [threading.Thread(target=self._burn, daemon=True) for _ in range(self._means.count)]
        for thread in self._threads:
            thread.start()
        time.sleep(_FIRST_SECONDS)
        return {"threads": self._means.count, "server_on_this_host": is_here, "cores_at_first": self._cores()}

    def still(self) -> Json:
        """CPU time that they used, and the cores that this comes to."""
        cores = self._cores()
        used = time.process_time() - self._cpu_from
        return {"cpu_seconds": round(used, 3), "seconds": round(time.monotonic() - self._from, 3), "cores": cores}

    def release(self) -> Json:
        """No thread computes any more."""
        began = time.monotonic()
        self.close()
        for thread in self._threads:
            thread.join()
        return {"gone_seconds": round(time.monotonic() - began, 4)}

    def close(self) -> None:
        """They look at it between two rounds."""
        self._over.set()
        self._means.close()

    def _burn(self) -> None:
        while not self._over.is_set():
            hashlib.pbkdf2_hmac("sha256", b"interference", b"cpu", _ROUNDS)

    def _cores(self) -> float:
        cores = (time.process_time() - self._cpu_from) / (time.monotonic() - self._from)
        if cores < _LEAST_SHARE * self._means.count:
            raise NotHeld(f"{self._means.count} threads got {cores:.3f} of a core: the host had none to give")
        return round(cores, 3)


CPU = Interference(
    "cpu", "N threads of another process that compute, on this host's cores", _Cpu, counts="threads",
    most=_MOST_THREADS,
)  # fmt: skip
