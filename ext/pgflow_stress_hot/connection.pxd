from libc.stdint cimport int64_t

from pgflow_stress_hot cimport libpq

cdef enum WaitStatus:
    WAIT_READY = 0
    WAIT_STOPPED = 1  # the stop word says that nothing more is waited for
    WAIT_LOST = 2  # the connection is gone
    WAIT_REFUSED = 3  # the server answered with an error: sqlstate and text are filled

cdef enum:
    SQLSTATE_SIZE = 6
    REFUSAL_TEXT = 224

cdef enum:
    MOST_TEXTS = 12
    MOST_PARAMETERS = 8

cdef struct Text:  # a statement that is not prepared: sent whole each time
    const char *name
    const char *sql
    libpq.Oid types[8]

ctypedef int (*send_sync_t)(libpq.PGconn *) noexcept nogil

cdef struct Link:  # a borrowed connection: not owned, never finished here
    libpq.PGconn *conn
    int socket
    bint piped  # in pipeline mode: a Sync after each statement
    send_sync_t send_sync  # queues a Sync without flushing, where this libpq can (17 and newer)
    int64_t *stop  # the header's stop word
    int64_t notices
    int64_t warnings  # of realtime.send: an event that it could not store
    char warning[224]  # the first of them
    int64_t statements
    Text *texts  # what names stand for where nothing is prepared
    int texts_count  # 0: names are those of prepared statements
    char sqlstate[6]
    char text[224]

# Queue one statement by its name, binary parameters and results; link_send with its Sync where piped.
# 0, or -1 where the connection is lost.
cdef int link_queue(Link *link, const char *name, int count, const char *const *values,
                    const int *lengths) noexcept nogil
cdef int link_sync(Link *link) noexcept nogil
cdef int link_send(Link *link, const char *name, int count, const char *const *values,
                   const int *lengths) noexcept nogil
# Put everything queued on the wire; waits until the kernel has taken it all.
cdef WaitStatus link_flush(Link *link) noexcept nogil
# The next answer, in the order sent; the caller clears *out. NULL in *out where WAIT_READY is not returned.
cdef WaitStatus link_take(Link *link, libpq.PGresult **out) noexcept nogil
# Its two halves: an answer with the NULL that ends it, and a Sync's.
cdef WaitStatus link_take_answer(Link *link, libpq.PGresult **out) noexcept nogil
cdef WaitStatus link_take_sync(Link *link) noexcept nogil

# Whether the connection of one that has nothing in flight is still there, without waiting.
cdef bint link_is_there(Link *link) noexcept nogil

# Whether an answer can be taken without waiting; what came is read in by links_wait alone.
cdef bint link_has_answer(Link *link) noexcept nogil
# Until one of these has something to read, or until a time (CLOCK_MONOTONIC); a slice at most, so call it in a loop.
cdef WaitStatus links_wait(Link **links, int count, const int64_t *stop, int64_t until_ns) noexcept nogil

cdef enum:
    MOST_LINKS = 64

cdef class BorrowedConnection:
    cdef Link link
    cdef Text _texts[12]
    cdef object _connection
    cdef libpq.PQnoticeReceiver _receiver
    cdef bint _borrowed
