from libc.stdint cimport int32_t, int64_t

from pgflow_stress_hot.events cimport EventBook, EventBooks

cdef enum Heard:  # what one message of the stream was
    HEARD_NOTHING = 0
    HEARD_MARKER = 1
    HEARD_ASKED = 2  # the server wants a reply at once
    HEARD_BROKEN = 3  # not of the protocol as we asked for it

cdef struct Decoder:
    EventBooks *events
    int64_t resume_lsn  # transactions up to this one were booked before a cut,
    int64_t resume_position  # the last of them up to this event
    int64_t commit_lsn  # of the transaction that is being received; 0 between two
    int64_t commit_ns  # when it was committed, by the server's wall clock in ns since 1970
    int64_t position  # events of it so far
    int64_t confirmed_lsn
    int64_t wall_less_monotonic_ns  # the server's wall clock less our monotonic one
    int32_t relation  # oid of realtime.messages, once it was described
    int topic_column
    int name_column
    char marker[64]  # the marker's text begins with it
    int marker_length

# One message of the replication stream (XLogData or keepalive), received at this moment.
cdef Heard pgoutput_take(Decoder *d, const char *bytes, int length, int64_t received_ns) noexcept nogil

cdef class Stream:
    cdef Decoder decoder
    cdef EventBook book
