"""Write event rows, histogram counts and errors into one process's arena region, without the GIL."""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcmp, memcpy, memset

from pgflow_stress_hot.clock cimport now_ns
from pgflow_stress_hot.histogram cimport bucket_of, histogram_record
from pgflow_stress_hot.layout cimport (
    ERROR_SLOTS, ERROR_TEXT, ErrorSlot, EventRow, HS_STATS, OP_COUNT, OP_START_FLOW, OP_TASK, ST_OK, W_COUNT, W_ROWS,
    W_ERRORS_FAILED, W_ERRORS_RETRIED,
)

cdef extern from "<string.h>" nogil:
    size_t strnlen(const char *text, size_t most) noexcept


cdef void record_statement(Recorder *r, int operation, int status, int64_t sent_ns, int64_t done_ns, int64_t items,
                           int32_t flow_index, int32_t batch) noexcept nogil:
    # Latencies are a statement's; only a start counts the runs that it carried. A refused one has no latency.
    if status == ST_OK:
        histogram_record(&r.histograms[operation], done_ns - sent_ns, items if operation == OP_START_FLOW else 1)
    record_row(r, sent_ns, done_ns, -1, -1, -1, -1, batch, operation, status, <int32_t>items, flow_index)


cdef ErrorSlot *find_slot(Recorder *r, int operation, int64_t at_ns, const char *sqlstate,
                          const char *text) noexcept nogil:
    # One slot a (SQLSTATE, operation); when all are taken the last one collects the rest.
    cdef int i
    cdef ErrorSlot *slot = &r.errors[ERROR_SLOTS - 1]
    cdef size_t length
    for i in range(ERROR_SLOTS):
        if r.errors[i].count == 0 or (r.errors[i].operation == operation
                                      and memcmp(r.errors[i].sqlstate, sqlstate, 5) == 0):
            slot = &r.errors[i]
            break
    if slot.count == 0:
        slot.first_ns = at_ns
        slot.operation = operation
        memcpy(slot.sqlstate, sqlstate, 5)
        length = strnlen(text, ERROR_TEXT - 1)
        memcpy(slot.text, text, length)
        memset(slot.text + length, 0, ERROR_TEXT - length)
    return slot


cdef void record_error(Recorder *r, int operation, bint retried, int64_t at_ns, const char *sqlstate,
                       const char *text) noexcept nogil:
    cdef ErrorSlot *slot = find_slot(r, operation, at_ns, sqlstate, text)
    cdef int word = W_ERRORS_RETRIED if retried else W_ERRORS_FAILED
    if retried:
        slot.retried += 1
    publish(&slot.count, slot.count + 1)
    publish(&r.words[word], r.words[word] + 1)


cdef class Region:
    """One process's part of the arena: checks its views once, and keeps their buffers alive."""

    def __cinit__(self, int64_t[::1] words not None, uint8_t[::1] rows not None, int64_t[:, ::1] counts not None,
                  int64_t[:, ::1] stats not None, uint8_t[::1] errors not None, int64_t one_second_in=1):
        cdef int i
        if one_second_in < 1:
            raise ValueError("need one second in 1 or more")
        if len(words) != W_COUNT:
            raise ValueError(f"need words int64[{W_COUNT}]")
        if len(rows) < <Py_ssize_t>sizeof(EventRow) or len(rows) % <Py_ssize_t>sizeof(EventRow):
            raise ValueError("need rows uint8[n * 64], n >= 1")
        if counts.shape[0] != OP_COUNT or counts.shape[1] < 2048:
            raise ValueError(f"need counts int64[{OP_COUNT}, buckets >= 2048]")
        if stats.shape[0] != OP_COUNT or stats.shape[1] != HS_STATS:
            raise ValueError(f"need stats int64[{OP_COUNT}, {HS_STATS}]")
        if len(errors) != ERROR_SLOTS * sizeof(ErrorSlot):
            raise ValueError(f"need errors uint8[{ERROR_SLOTS * sizeof(ErrorSlot)}]")
        self._owners = (words, rows, counts, stats, errors)
        self.recorder.words = &words[0]
        self.recorder.rows = <EventRow *>&rows[0]
        self.recorder.capacity = len(rows) // sizeof(EventRow)
        self.recorder.unasked = self.recorder.capacity if one_second_in == 1 else 0
        self.recorder.one_second_in = one_second_in
        self.recorder.histograms = self.histograms
        self.recorder.errors = <ErrorSlot *>&errors[0]
        for i in range(OP_COUNT):
            self.histograms[i].counts = &counts[i, 0]
            self.histograms[i].buckets = counts.shape[1]
            self.histograms[i].stats = &stats[i, 0]

    def record(self, int operation, int status, int64_t sent_ns, int64_t done_ns, int64_t items=1):
        """Record one statement: a row and its histogram count."""
        if not 0 <= operation < OP_COUNT:
            raise ValueError(f"no operation {operation}")
        record_statement(&self.recorder, operation, status, sent_ns, done_ns, items, -1, -1)

    def warn(self, int operation, int64_t count, bytes sqlstate not None, bytes text not None):
        """Note what the server warned of, `count` times; it is not among the errors."""
        if len(sqlstate) != 5 or not 0 <= operation < OP_COUNT or count < 1:
            raise ValueError("need an SQLSTATE of 5 bytes, an operation and a count")
        find_slot(&self.recorder, operation, now_ns(), sqlstate, text).count += count

    def error(self, int operation, bint retried, bytes sqlstate not None, bytes text not None):
        """Record one refused statement by its SQLSTATE (5 bytes)."""
        if len(sqlstate) != 5 or not 0 <= operation < OP_COUNT:
            raise ValueError("need an SQLSTATE of 5 bytes and an operation")
        record_error(&self.recorder, operation, retried, now_ns(), sqlstate, text)


def bucket_index(int64_t value_ns):
    """Index of the histogram bucket of a value >= 0."""
    if value_ns < 0:
        raise ValueError("a bucket index needs a value >= 0")
    return bucket_of(value_ns)


def record_cost_ns(Region region not None, int64_t events):
    """(mean ns of a clock read + record, mean ns of the clock read alone) over `events` each.

    The region's rows are used over and over, so that page faults of a first touch are not what is measured.
    """
    cdef int64_t _, begin, stamp, previous, left = events
    cdef double with_record, alone
    cdef Recorder *r = &region.recorder
    if events < 1:
        raise ValueError("need at least one event")
    with nogil:
        previous = now_ns()
        begin = previous
        while left > 0:
            r.words[W_ROWS] = 0
            for _ in range(min(left, r.capacity)):
                stamp = now_ns()
                histogram_record(&r.histograms[OP_TASK], stamp - previous, 1)
                record_row(r, previous, stamp, 7, 1, 2, 3, 4, OP_TASK, ST_OK, 1, 5)
                previous = stamp
            left -= r.capacity
        with_record = (previous - begin) / <double>events
        begin = now_ns()
        previous = begin
        for _ in range(events):
            previous = now_ns()
        alone = (previous - begin) / <double>events
    return with_record, alone


def record_events(Region region not None, int64_t events):
    """Record `events` rows with made-up stamps and no clock: what callgrind counts."""
    cdef int64_t i
    cdef Recorder *r = &region.recorder
    with nogil:
        for i in range(events):
            if r.words[W_ROWS] == r.capacity:
                r.words[W_ROWS] = 0
            histogram_record(&r.histograms[OP_TASK], 1000 + (i & 65535), 1)
            record_row(r, i, i + 1000, 7, 1, 2, 3, 4, OP_TASK, ST_OK, 1, 5)
