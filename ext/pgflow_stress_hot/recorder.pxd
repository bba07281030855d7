from libc.stdint cimport int16_t, int32_t, int64_t

from pgflow_stress_hot.histogram cimport Histogram
from pgflow_stress_hot.layout cimport ErrorSlot, EventRow

cdef extern from * nogil:
    """
    #define publish(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
    #define observe(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
    #define add_shared(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
    #define or_shared(p, v) __atomic_fetch_or((p), (v), __ATOMIC_RELAXED)
    static inline void raise_shared(int64_t *p, int64_t v) {
        int64_t seen = __atomic_load_n(p, __ATOMIC_RELAXED);
        while (seen < v && !__atomic_compare_exchange_n(p, &seen, v, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
    }
    """
    void publish(int64_t *p, int64_t v) noexcept
    int64_t observe(int64_t *p) noexcept
    int64_t add_shared(int64_t *p, int64_t v) noexcept
    unsigned char or_shared(unsigned char *p, unsigned char v) noexcept
    void raise_shared(int64_t *p, int64_t v) noexcept

cdef struct Recorder:  # a view of one process's arena region: owns nothing
    int64_t *words  # ProcessWord
    EventRow *rows
    int64_t capacity  # rows
    Histogram *histograms  # [OP_COUNT]
    ErrorSlot *errors  # [ERROR_SLOTS]

cdef EventRow *next_row(Recorder *r) noexcept nogil  # NULL: no room, counted
cdef void row_written(Recorder *r) noexcept nogil
cdef void record_statement(Recorder *r, int operation, int status, int64_t sent_ns, int64_t done_ns, int64_t items,
                           int32_t flow_index, int32_t batch) noexcept nogil
cdef void record_error(Recorder *r, int operation, bint retried, int64_t at_ns, const char *sqlstate,
                       const char *text) noexcept nogil

cdef class Region:
    cdef Recorder recorder
    cdef Histogram histograms[8]
    cdef object _owners
