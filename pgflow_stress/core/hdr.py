"""HDR histogram arithmetic: lowest value 1, 3 significant digits, 64-bit values.

The bucket index is that of HdrHistogram's counts array (https://hdrhistogram.org), so counts can be handed to its
tools as they are: values below 2,048 have a bucket each, above that each doubling is divided into 1,024 buckets.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

SUB_BUCKET_COUNT = 2048
SUB_BUCKET_HALF = 1024
SUB_BUCKET_BITS = 11
_DOUBLINGS = np.left_shift(np.int64(1), np.arange(SUB_BUCKET_BITS, 63, dtype=np.int64))
_RANK_TOLERANCE = 1e-9
_DOUBLE_ERROR = 2.0**-50  # twice what fraction and product may be off by, relative

Counts = npt.NDArray[np.int64]


def bucket_index(values: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Index of the bucket of each value.

    Args:
        values: int64[n], >= 0.
    Returns:
        int64[n].
    Raises:
        ValueError: a value is negative: no duration is.
    """
    array = np.asarray(values, dtype=np.int64)
    if array.size and array.min() < 0:
        raise ValueError(f"negative value: {array.min()}")
    shift = np.searchsorted(_DOUBLINGS, array, side="right")
    return np.asarray(((shift + 1) << (SUB_BUCKET_BITS - 1)) + (array >> shift) - SUB_BUCKET_HALF, dtype=np.int64)


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
    return np.asarray(lowest_of(array) + ((np.int64(1) << power) - 1), dtype=np.int64)


def bucket_count(max_value: int) -> int:
    """How many buckets a histogram needs to hold values up to max_value."""
    return int(bucket_index([max_value])[0]) + 1


def percentile(counts: Counts, fraction: float) -> int:
    """The value at or below which `fraction` of the recorded values lie: the highest of its bucket.

    Raises:
        ValueError: nothing was recorded, or fraction outside 0..1.
    """
    return percentiles(counts, (fraction,))[0]


def percentiles(counts: Counts, fractions: Sequence[float]) -> list[int]:
    """As `percentile`, for several fractions in one pass over the counts.

    The product with the count is rounded away from its last bits: 0.9 of 10 values is the 9th, although the double 0.9
    lies above 9/10.

    Raises:
        ValueError: nothing was recorded, or a fraction outside 0..1.
    """
    cumulative = np.cumsum(counts)
    total = int(cumulative[-1]) if cumulative.size else 0
    if total == 0 or not all(0 <= fraction <= 1 for fraction in fractions):
        raise ValueError(f"no percentiles {list(fractions)} of {total} values")
    ranks = np.maximum(1, np.ceil(np.asarray(fractions) * total - (_RANK_TOLERANCE + total * _DOUBLE_ERROR)))
    return [int(value) for value in highest_of(np.searchsorted(cumulative, ranks))]
