"""HDR histogram arithmetic: lowest value 1, 3 significant digits, 64-bit values.

The bucket index is that of HdrHistogram's counts array (https://hdrhistogram.org), so counts can be handed to its
tools as they are: values below 2,048 have a bucket each, above that each doubling is divided into 1,024 buckets.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SUB_BUCKET_COUNT = 2048
SUB_BUCKET_HALF = 1024
SUB_BUCKET_BITS = 11

Counts = npt.NDArray[np.int64]


def bucket_index(values: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Index of the bucket of each value.

    Args:
        values: int64[n], >= 0.
    Returns:
        int64[n].
    """
    array = np.asarray(values, dtype=np.int64)
    bits = np.zeros(array.shape, dtype=np.int64)
    rest = array >> SUB_BUCKET_BITS
    while rest.any():
        bits += rest > 0
        rest = rest >> 1
    return ((bits + 1) << (SUB_BUCKET_BITS - 1)) + (array >> bits) - SUB_BUCKET_HALF


def lowest_of(index: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Lowest value that falls into each bucket."""
    array = np.asarray(index, dtype=np.int64)
    power = np.maximum((array >> (SUB_BUCKET_BITS - 1)) - 1, 0)
    sub = np.where(array < SUB_BUCKET_COUNT, array, (array & (SUB_BUCKET_HALF - 1)) + SUB_BUCKET_HALF)
    return np.asarray(sub << power, dtype=np.int64)


def highest_of(index: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Highest value that falls into each bucket."""
    array = np.asarray(index, dtype=np.int64)
    power = np.maximum((array >> (SUB_BUCKET_BITS - 1)) - 1, 0)
    return np.asarray(lowest_of(array) + (np.int64(1) << power) - 1, dtype=np.int64)


def bucket_count(max_value: int) -> int:
    """How many buckets a histogram needs to hold values up to max_value."""
    return int(bucket_index([max_value])[0]) + 1


def percentile(counts: Counts, fraction: float) -> int:
    """The value at or below which `fraction` of the recorded values lie: the highest of its bucket.

    Raises:
        ValueError: nothing was recorded, or fraction outside 0..1.
    """
    total = int(counts.sum())
    if total == 0 or not 0 <= fraction <= 1:
        raise ValueError(f"no percentile {fraction} of {total} values")
    rank = max(1, int(np.ceil(fraction * total - 1e-9)))
    index = int(np.searchsorted(np.cumsum(counts), rank))
    return int(highest_of([index])[0])
