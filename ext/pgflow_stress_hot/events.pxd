from libc.stdint cimport int32_t, int64_t, uint8_t

from pgflow_stress_hot.account cimport Account, Books
from pgflow_stress_hot.layout cimport Stray

cdef enum:  # instead of a place
    EVENT_FOREIGN = -1  # of no run of ours
    EVENT_STRAY = -2  # of a run of ours, of a name that none of its events has

cdef struct Event:  # what a topic and a name say
    int64_t run
    int32_t kind
    int32_t step  # 0 for a run's own
    int64_t place

cdef struct EventBooks:  # a view, owns nothing
    Books *books
    int64_t places  # of one run
    uint8_t *received  # [runs][places] of EventBit
    int64_t *dep_offsets  # [steps + 1]: the parents of a step in deps
    int64_t *deps
    Stray *strays  # [MOST_STRAYS]
    int64_t last_sent_ns[7]  # of each kind: events of one statement are one sample

# Which event it is; its place in all runs, or one of the two above.
cdef int64_t event_find(const EventBooks *b, const char *topic, int topic_length, const char *name, int name_length,
                        Event *event) noexcept nogil
cdef void event_stray(const EventBooks *b, int64_t run, const char *name, int length) noexcept nogil
# Count it, time it from its cause, and see whether it came before one that it follows from.
cdef void event_receive(EventBooks *b, const Event *event, int64_t received_ns, int64_t lsn) noexcept nogil

# Find it and book it, whatever it is.
cdef void take_named(EventBooks *b, const char *topic, int topic_length, const char *name, int name_length,
                     int64_t received_ns, int64_t lsn) noexcept nogil

cdef class EventBook:
    cdef EventBooks books
    cdef Account account
    cdef object _owners

    cdef bint _at(self, int64_t place, Event *event) except -1
