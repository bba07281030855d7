from libc.stdint cimport int16_t, int32_t, int64_t

from pgflow_stress_hot.histogram cimport Histogram
from pgflow_stress_hot.layout cimport ErrorSlot, EventRow, ST_EMPTY, W_ROWS, W_ROWS_LEFT_OUT

cdef extern from * nogil:
    """
    #define publish(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
    #define observe(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
    #define add_shared(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
    #define or_shared(p, v) __atomic_fetch_or((p), (v), __ATOMIC_RELAXED)
    #define and_shared(p, v) __atomic_fetch_and((p), (v), __ATOMIC_RELAXED)
    #define add_failure(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
    static inline void raise_shared(int64_t *p, int64_t v) {
        int64_t seen = __atomic_load_n(p, __ATOMIC_RELAXED);
        while (seen < v && !__atomic_compare_exchange_n(p, &seen, v, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
    }
    """
    void publish(int64_t *p, int64_t v) noexcept
    int64_t observe(int64_t *p) noexcept
    int64_t add_shared(int64_t *p, int64_t v) noexcept
    unsigned char add_failure(unsigned char *p, unsigned char v) noexcept
    unsigned char and_shared(unsigned char *p, unsigned char v) noexcept
    unsigned char or_shared(unsigned char *p, unsigned char v) noexcept
    void raise_shared(int64_t *p, int64_t v) noexcept

cdef enum:
    NS_A_SECOND = 1000000000

cdef struct Recorder:  # a view of one process's arena region: owns nothing
    int64_t *words  # ProcessWord
    EventRow *rows
    int64_t capacity  # rows
    int64_t unasked  # rows up to here are taken whenever they are: the capacity, or 0 where seconds are passed by
    int64_t one_second_in  # of so many seconds one is recorded row by row; 1: all
    Histogram *histograms  # [OP_COUNT]
    ErrorSlot *errors  # [ERROR_SLOTS]

# One row; a region without room, or a second that is passed by, counts it as left out. Inlined: a call would cost as
# much as the row.
cdef inline void record_row(Recorder *r, int64_t sent_ns, int64_t done_ns, int64_t msg_id, int32_t run, int32_t step,
                            int32_t task, int32_t batch, int operation, int status, int32_t items,
                            int32_t flow) noexcept nogil:
    cdef int64_t cursor = r.words[W_ROWS]
    cdef EventRow *row = &r.rows[cursor]
    # One comparison where no second is passed by. What was refused, adopted or lost is kept, whenever it was.
    if cursor >= r.unasked and (
        cursor >= r.capacity or (status <= ST_EMPTY and done_ns // NS_A_SECOND % r.one_second_in != 0)
    ):
        publish(&r.words[W_ROWS_LEFT_OUT], r.words[W_ROWS_LEFT_OUT] + 1)
        return
    row.intended_ns = 0
    row.sent_ns = sent_ns
    row.done_ns = done_ns
    row.msg_id = msg_id
    row.run_index = run
    row.step_index = step
    row.task_index = task
    row.batch = batch
    row.operation = <int16_t>operation
    row.status = <int16_t>status
    row.items = items
    row.flow_index = flow
    row.spare = 0
    publish(&r.words[W_ROWS], cursor + 1)  # last: no reader may count a row half written

cdef void record_statement(Recorder *r, int operation, int status, int64_t sent_ns, int64_t done_ns, int64_t items,
                           int32_t flow_index, int32_t batch) noexcept nogil
cdef void record_error(Recorder *r, int operation, bint retried, int64_t at_ns, const char *sqlstate,
                       const char *text) noexcept nogil

cdef class Region:
    cdef Recorder recorder
    cdef Histogram histograms[21]
    cdef object _owners
