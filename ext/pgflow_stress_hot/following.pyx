"""An observer's loops: take what the server sends on one connection until it ends, without the GIL.

The connection is borrowed from psycopg: one that is in COPY BOTH after START_REPLICATION, or one that listens.
"""

from libc.errno cimport EINTR, errno
from libc.stdint cimport int64_t, uintptr_t
from libc.string cimport memchr, memcmp, strcmp, strlen

from posix.time cimport nanosleep, timespec

from pgflow_stress_hot cimport libpq
from pgflow_stress_hot.clock cimport now_ns
from pgflow_stress_hot.events cimport EventBook, EventBooks, take_named
from pgflow_stress_hot.layout cimport H_MARKER, H_STOP, STOP_NOW, W_MARKER, W_RECEIVED_BYTES
from pgflow_stress_hot.pgoutput cimport (
    HEARD_ASKED, HEARD_BROKEN, HEARD_MARKER, HEARD_NOTHING, Decoder, Heard, Stream, pgoutput_take,
)
from pgflow_stress_hot.recorder cimport observe, publish
from pgflow_stress_hot.wire cimport put_int8

cdef extern from "<poll.h>" nogil:
    cdef struct pollfd:
        int fd
        short events
        short revents
    int poll(pollfd *fds, unsigned long count, int timeout_ms) noexcept
    short POLLIN
    short POLLOUT

cdef enum FollowEnd:
    FOLLOW_DONE = 0  # the marker that the header asks for was received
    FOLLOW_STOPPED = 1
    FOLLOW_LOST = 2
    FOLLOW_BROKEN = 3  # the server sent what is not of the protocol

cdef enum:
    SLICE_MS = 100
    REPLY_BYTES = 34
    BETWEEN_REPLIES_NS = 1_000_000_000  # to the server, of what was received: it keeps the log from there

# Microseconds from 1970 to 2000, where PostgreSQL's timestamps begin.
cdef int64_t EPOCH_US = 946684800000000


cdef bint is_over(const EventBooks *b) noexcept nogil:
    cdef int64_t wanted = observe(&b.books.header[H_MARKER])
    return wanted > 0 and b.books.recorder.words[W_MARKER] >= wanted


cdef bint wait_for_more(libpq.PGconn *conn, short events) noexcept nogil:
    # A slice at most, then what came is taken in; False where the connection is lost.
    cdef pollfd waited
    cdef int ready
    waited.fd = libpq.PQsocket(conn)
    waited.events = events
    waited.revents = 0
    ready = poll(&waited, 1, SLICE_MS)
    if ready < 0:
        return errno == EINTR
    return ready == 0 or libpq.PQconsumeInput(conn) != 0


cdef void pause(int64_t delay_ns) noexcept nogil:
    cdef timespec nap
    nap.tv_sec = delay_ns // 1_000_000_000
    nap.tv_nsec = delay_ns % 1_000_000_000
    nanosleep(&nap, NULL)


cdef bint reply(libpq.PGconn *conn, const Decoder *d, int64_t at_ns) noexcept nogil:
    # Standby status update: written, flushed and applied up to what was received; False where the connection is lost.
    cdef char message[34]
    cdef int left
    message[0] = 114  # 'r'
    put_int8(<unsigned char *>message + 1, d.confirmed_lsn)
    put_int8(<unsigned char *>message + 9, d.confirmed_lsn)
    put_int8(<unsigned char *>message + 17, d.confirmed_lsn)
    put_int8(<unsigned char *>message + 25, (at_ns + d.wall_less_monotonic_ns) // 1000 - EPOCH_US)
    message[33] = 0
    if libpq.PQputCopyData(conn, message, REPLY_BYTES) != 1:
        return False
    while True:
        left = libpq.PQflush(conn)
        if left <= 0:
            return left == 0
        if not wait_for_more(conn, POLLIN | POLLOUT):
            return False


cdef FollowEnd follow_log(libpq.PGconn *conn, Decoder *d, int64_t delay_ns) noexcept nogil:
    cdef EventBooks *b = d.events
    cdef char *message = NULL
    cdef int length
    cdef int64_t stamp = now_ns(), replied_ns = 0
    cdef int64_t before
    cdef bint asked = False
    cdef Heard heard = HEARD_NOTHING
    while True:
        length = libpq.PQgetCopyData(conn, &message, 1)
        if length > 0:
            stamp = now_ns()
            before = d.position
            heard = pgoutput_take(d, message, length, stamp)
            libpq.PQfreemem(message)
            if heard == HEARD_BROKEN:
                return FOLLOW_BROKEN
            asked = asked or heard == HEARD_ASKED
            if delay_ns > 0 and d.position > before:
                pause(delay_ns)
        elif length == 0:
            if not wait_for_more(conn, POLLIN):
                return FOLLOW_LOST
            stamp = now_ns()
        else:
            return FOLLOW_LOST
        if asked or stamp - replied_ns > BETWEEN_REPLIES_NS:
            asked = False
            replied_ns = stamp
            if not reply(conn, d, stamp):
                return FOLLOW_LOST
        if length <= 0 or delay_ns > 0 or heard == HEARD_MARKER:
            if observe(&b.books.header[H_STOP]) >= STOP_NOW:
                return FOLLOW_STOPPED
            if is_over(b):
                reply(conn, d, stamp)
                return FOLLOW_DONE


cdef void take_notification(EventBooks *b, const char *text, const char *marker, int marker_length,
                            int64_t received_ns) noexcept nogil:
    # "<topic> <event> <id of the row>", or the marker with its number.
    cdef int64_t *words = b.books.recorder.words
    cdef int length = <int>strlen(text)
    cdef int64_t number = 0
    cdef const char *name
    cdef const char *end
    publish(&words[W_RECEIVED_BYTES], words[W_RECEIVED_BYTES] + length)
    if length > marker_length and memcmp(text, marker, marker_length) == 0:
        text += marker_length
        while 48 <= text[0] <= 57:
            number = number * 10 + text[0] - 48
            text += 1
        if number > words[W_MARKER]:
            publish(&words[W_MARKER], number)
        return
    name = <const char *>memchr(text, 32, length)
    if name == NULL:
        take_named(b, text, length, b"", 0, received_ns, -1)
        return
    name += 1
    end = <const char *>memchr(name, 32, text + length - name)
    if end == NULL:
        end = text + length
    take_named(b, text, <int>(name - 1 - text), name, <int>(end - name), received_ns, -1)


cdef FollowEnd follow_notifications(libpq.PGconn *conn, EventBooks *b, const char *channel, const char *marker,
                                    int marker_length, int64_t delay_ns, int64_t *looked_ns) noexcept nogil:
    cdef libpq.PGnotify *notification
    cdef bint alive
    while True:
        notification = libpq.PQnotifies(conn)
        while notification != NULL:
            if strcmp(notification.relname, channel) == 0:
                take_notification(b, notification.extra, marker, marker_length, now_ns())
            libpq.PQfreemem(notification)
            if delay_ns > 0:
                pause(delay_ns)
                if observe(&b.books.header[H_STOP]) >= STOP_NOW:
                    return FOLLOW_STOPPED
            notification = libpq.PQnotifies(conn)
        if observe(&b.books.header[H_STOP]) >= STOP_NOW:
            return FOLLOW_STOPPED
        if is_over(b):
            return FOLLOW_DONE
        looked_ns[0] = now_ns()
        alive = wait_for_more(conn, POLLIN)
        if not alive:
            # What came before the end is in libpq's hands still.
            notification = libpq.PQnotifies(conn)
            while notification != NULL:
                if strcmp(notification.relname, channel) == 0:
                    take_notification(b, notification.extra, marker, marker_length, now_ns())
                libpq.PQfreemem(notification)
                notification = libpq.PQnotifies(conn)
            return FOLLOW_LOST


def _connection_of(connection):
    import psycopg
    if psycopg.pq.__impl__ != "c" or psycopg.pq.version() != libpq.PQlibVersion():
        raise ValueError("psycopg does not use the libpq that the extension is linked with")
    return connection.pgconn.pgconn_ptr


def follow_wal(object connection not None, Stream stream not None, int64_t delay_ns=0):
    """Take the log's messages until the header's marker was received, the stop word says so, or the connection ends.

    Args:
        connection: psycopg.Connection in COPY BOTH.
        stream: the decoder, with the books to write.
        delay_ns: pause after each event.
    Returns:
        A FollowEnd: 0 the marker was received, 1 stopped, 2 connection lost, 3 not of the protocol.
    """
    cdef libpq.PGconn *conn = <libpq.PGconn *><uintptr_t>_connection_of(connection)
    cdef FollowEnd end
    libpq.PQsetnonblocking(conn, 1)
    with nogil:
        end = follow_log(conn, &stream.decoder, delay_ns)
    return end


def follow_notify(object connection not None, EventBook book not None, bytes channel not None, bytes marker not None,
                  int64_t delay_ns=0):
    """Take notifications, likewise.

    Args:
        connection: psycopg.Connection that listens to the channel.
        book: the books to write.
        channel, marker: which channel; what a payload begins with that marks an end, its number following.
        delay_ns: pause after each event.
    Returns:
        (a FollowEnd as of follow_wal, when the connection was last known to be alive, CLOCK_MONOTONIC ns).
    """
    cdef libpq.PGconn *conn = <libpq.PGconn *><uintptr_t>_connection_of(connection)
    cdef const char *channel_text = channel
    cdef const char *marker_text = marker
    cdef int marker_length = <int>len(marker)
    cdef int64_t looked_ns = now_ns()
    cdef FollowEnd end
    with nogil:
        end = follow_notifications(conn, &book.books, channel_text, marker_text, marker_length, delay_ns, &looked_ns)
    return end, looked_ns
