"""Decode PostgreSQL's logical replication stream as pgoutput writes it, protocol version 1, and book its events.

Formats: PostgreSQL's documentation, "Streaming Replication Protocol" and "Logical Replication Message Formats". Only
inserts into realtime.messages are published. An event's place in the stream is its transaction's commit LSN and how
many came before it in there: after a cut the server sends again from what was confirmed, and by that place what was
booked already is passed over.
"""

from libc.stdint cimport int16_t, int32_t, int64_t
from libc.string cimport memchr, memcmp, memcpy, strcmp

from pgflow_stress_hot.events cimport take_named
from pgflow_stress_hot.histogram cimport histogram_record
from pgflow_stress_hot.layout cimport (
    OP_AFTER_COMMIT, OP_BEFORE_COMMIT, W_COMMIT_LSN, W_COMMIT_POSITION, W_CONFIRMED_LSN, W_MARKER, W_RECEIVED_BYTES,
    W_REDELIVERED,
)
from pgflow_stress_hot.recorder cimport publish
from pgflow_stress_hot.wire cimport get_int2, get_int4, get_int8

cdef enum:
    XLOG_HEAD = 25  # 'w', start, end, the server's clock
    KEEPALIVE = 18
    MOST_COLUMNS = 64
    NS_PER_US = 1000

# Microseconds from 1970 to 2000, where PostgreSQL's timestamps begin.
cdef int64_t EPOCH_US = 946684800000000
cdef int64_t LAST_COMMIT_US = 8000000000000000  # in the year 2253: beyond it nanoseconds find no room
cdef enum:
    MOST_DIGITS = 18  # of a number that finds room


cdef const char *skip_text(const char *at, const char *end) noexcept nogil:
    # Past a text that ends with a null byte; NULL where it doesn't end.
    cdef const char *null = <const char *>memchr(at, 0, end - at) if at < end else NULL
    return null + 1 if null != NULL else NULL


cdef Heard take_relation(Decoder *d, const char *at, const char *end) noexcept nogil:
    cdef int32_t oid
    cdef const char *schema
    cdef const char *name
    cdef int16_t columns, column
    if end - at < 4:
        return HEARD_BROKEN
    oid = get_int4(at)
    schema = at + 4
    name = skip_text(schema, end)
    at = skip_text(name, end) if name != NULL else NULL
    if at == NULL or end - at < 3:
        return HEARD_BROKEN
    if strcmp(schema, b"realtime") != 0 or strcmp(name, b"messages") != 0:
        return HEARD_NOTHING
    columns = get_int2(at + 1)
    at += 3
    d.relation = oid
    d.topic_column = d.name_column = -1
    for column in range(columns):
        if end - at < 2:
            return HEARD_BROKEN
        name = at + 1
        at = skip_text(name, end)
        if at == NULL or end - at < 8:
            return HEARD_BROKEN
        if strcmp(name, b"topic") == 0:
            d.topic_column = column
        elif strcmp(name, b"event") == 0:
            d.name_column = column
        at += 8
    return HEARD_NOTHING if d.topic_column >= 0 and d.name_column >= 0 else HEARD_BROKEN


cdef bint is_known(Decoder *d) noexcept nogil:
    # Whether the event at hand was booked before the cut.
    if d.commit_lsn == d.resume_lsn:
        return d.position <= d.resume_position
    return d.commit_lsn < d.resume_lsn


cdef void book_commit_delay(Decoder *d, int64_t received_ns) noexcept nogil:
    cdef int64_t delay = received_ns + d.wall_less_monotonic_ns - d.commit_ns
    if delay >= 0:
        histogram_record(&d.events.books.recorder.histograms[OP_AFTER_COMMIT], delay, 1)
    else:
        histogram_record(&d.events.books.recorder.histograms[OP_BEFORE_COMMIT], -delay, 1)


cdef Heard take_insert(Decoder *d, const char *at, const char *end, int64_t received_ns) noexcept nogil:
    cdef int64_t *words = d.events.books.recorder.words
    cdef const char *topic = b""
    cdef const char *name = b""
    cdef int topic_length = 0, name_length = 0, length
    cdef int16_t columns, column
    cdef char kind
    if end - at < 7 or at[4] != 78:  # 'N'
        return HEARD_BROKEN
    if get_int4(at) != d.relation:
        return HEARD_NOTHING
    columns = get_int2(at + 5)
    at += 7
    for column in range(columns):
        if end - at < 1:
            return HEARD_BROKEN
        kind = at[0]
        at += 1
        if kind == 110 or kind == 117:  # 'n'ull, 'u'nchanged
            continue
        if end - at < 4:
            return HEARD_BROKEN
        length = get_int4(at)
        at += 4
        if length < 0 or end - at < length:
            return HEARD_BROKEN
        if column == d.topic_column:
            topic = at
            topic_length = length
        elif column == d.name_column:
            name = at
            name_length = length
        at += length
    d.position += 1
    if is_known(d):
        publish(&words[W_REDELIVERED], words[W_REDELIVERED] + 1)
        return HEARD_NOTHING
    take_named(d.events, topic, topic_length, name, name_length, received_ns, d.commit_lsn)
    book_commit_delay(d, received_ns)
    # The transaction first: whoever resumes after us would otherwise take an old position for a new transaction's.
    if words[W_COMMIT_LSN] != d.commit_lsn:
        publish(&words[W_COMMIT_POSITION], 0)
        publish(&words[W_COMMIT_LSN], d.commit_lsn)
    publish(&words[W_COMMIT_POSITION], d.position)
    return HEARD_NOTHING


cdef Heard take_logical_message(Decoder *d, const char *at, const char *end) noexcept nogil:
    cdef int64_t *words = d.events.books.recorder.words
    cdef const char *prefix = at + 9
    cdef const char *content
    cdef int length, i
    cdef int64_t number = 0
    if end - at < 10:
        return HEARD_BROKEN
    content = skip_text(prefix, end)
    if content == NULL or end - content < 4:
        return HEARD_BROKEN
    length = get_int4(content)
    content += 4
    if length < 0 or end - content < length:
        return HEARD_BROKEN
    if length <= d.marker_length or memcmp(content, d.marker, d.marker_length) != 0:
        return HEARD_NOTHING
    if length - d.marker_length > MOST_DIGITS:
        return HEARD_NOTHING
    for i in range(d.marker_length, length):
        if not 48 <= content[i] <= 57:
            return HEARD_NOTHING
        number = number * 10 + content[i] - 48
    publish(&words[W_MARKER], number)
    return HEARD_MARKER


cdef Heard take_logical(Decoder *d, const char *at, const char *end, int64_t received_ns) noexcept nogil:
    cdef int64_t *words = d.events.books.recorder.words
    cdef int64_t commit_us
    cdef char kind
    if at >= end:
        return HEARD_BROKEN
    kind = at[0]
    at += 1
    if kind == 73:  # 'I'nsert
        return take_insert(d, at, end, received_ns)
    if kind == 66:  # 'B'egin: final LSN, commit time, transaction id
        if end - at < 20:
            return HEARD_BROKEN
        commit_us = get_int8(at + 8)
        if not -EPOCH_US <= commit_us <= LAST_COMMIT_US:
            return HEARD_BROKEN
        d.commit_lsn = get_int8(at)
        d.commit_ns = (commit_us + EPOCH_US) * NS_PER_US
        d.position = 0
        return HEARD_NOTHING
    if kind == 67:  # 'C'ommit: flags, LSN, end LSN, time
        if end - at < 25:
            return HEARD_BROKEN
        d.confirmed_lsn = get_int8(at + 9)
        d.commit_lsn = 0
        publish(&words[W_CONFIRMED_LSN], d.confirmed_lsn)
        return HEARD_NOTHING
    if kind == 82:  # 'R'elation
        return take_relation(d, at, end)
    if kind == 77:  # 'M'essage: flags, LSN, prefix, content
        return take_logical_message(d, at, end)
    return HEARD_NOTHING


cdef Heard pgoutput_take(Decoder *d, const char *bytes, int length, int64_t received_ns) noexcept nogil:
    cdef int64_t *words = d.events.books.recorder.words
    cdef int64_t end_lsn
    publish(&words[W_RECEIVED_BYTES], words[W_RECEIVED_BYTES] + length)
    if length >= XLOG_HEAD and bytes[0] == 119:  # 'w'
        return take_logical(d, bytes + XLOG_HEAD, bytes + length, received_ns)
    if length == KEEPALIVE and bytes[0] == 107:  # 'k': end of the log, the server's clock, whether it wants a reply
        end_lsn = get_int8(bytes + 1)
        if d.commit_lsn == 0 and end_lsn > d.confirmed_lsn:
            # Nothing of ours up to there: confirmed, so that the server need not keep it.
            d.confirmed_lsn = end_lsn
            publish(&words[W_CONFIRMED_LSN], end_lsn)
        return HEARD_ASKED if bytes[17] else HEARD_NOTHING
    return HEARD_BROKEN


cdef class Stream:
    """The stream's decoder, on an observer's books.

    Args:
        book: the books.
        marker: what a logical message begins with that marks an end; its number follows. At most 63 bytes.
        resume_lsn, resume_position: place of the last event that was booked before a cut; 0, 0 at the start.
        wall_less_monotonic_ns: the server's wall clock (ns since 1970) less CLOCK_MONOTONIC.
    Raises:
        ValueError: the marker's length.
    """

    def __cinit__(self, EventBook book not None, bytes marker not None, int64_t resume_lsn, int64_t resume_position,
                  int64_t wall_less_monotonic_ns):
        if not 1 <= len(marker) < 64:
            raise ValueError("a marker has 1 to 63 bytes")
        self.book = book
        self.decoder.events = &book.books
        self.decoder.resume_lsn = resume_lsn
        self.decoder.resume_position = resume_position
        self.decoder.wall_less_monotonic_ns = wall_less_monotonic_ns
        self.decoder.topic_column = self.decoder.name_column = -1
        memcpy(self.decoder.marker, <const char *>marker, len(marker))
        self.decoder.marker_length = <int>len(marker)

    def take(self, bytes message not None, int64_t received_ns):
        """Take one message as the server sent it; returns a Heard: 0 nothing, 1 marker, 2 asked, 3 broken."""
        return pgoutput_take(&self.decoder, message, <int>len(message), received_ns)

    @property
    def confirmed_lsn(self):
        """All before it was received."""
        return self.decoder.confirmed_lsn
