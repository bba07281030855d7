from libc.stdint cimport int64_t

from pgflow_stress_hot.layout cimport HS_MAX_NS, HS_SAMPLES, HS_TOTAL_NS

cdef extern from * nogil:
    """
    #define leading_zeros64(v) __builtin_clzll(v)
    /* A branch that is foretold instead of a conditional move that is waited for. */
    #define rarely(v) __builtin_expect_with_probability(!!(v), 0, 0.999)
    """
    int leading_zeros64(unsigned long long v) noexcept
    bint rarely(bint v) noexcept

cdef inline int64_t bucket_of(int64_t value) noexcept nogil:
    # HdrHistogram's counts index for lowest value 1 and 3 digits (core.hdr has the derivation).
    cdef int power = 64 - leading_zeros64(<unsigned long long>(value | 2047)) - 11
    return ((<int64_t>power + 1) << 10) + (value >> power) - 1024

cdef struct Histogram:  # a view of one arena region: owns nothing
    int64_t *counts
    int64_t buckets
    int64_t *stats  # HistogramStat

cdef inline void histogram_record(Histogram *h, int64_t value_ns, int64_t items) noexcept nogil:
    # One statement that timed `items` of what the operation counts.
    cdef int64_t index
    if rarely(value_ns < 0):
        value_ns = 0
    index = bucket_of(value_ns)
    if rarely(index >= h.buckets):
        index = h.buckets - 1  # beyond the range: counted in the last bucket, max_ns stays exact
    h.counts[index] += items
    h.stats[HS_SAMPLES] += 1
    h.stats[HS_TOTAL_NS] += value_ns * items
    if value_ns > h.stats[HS_MAX_NS]:
        h.stats[HS_MAX_NS] = value_ns
