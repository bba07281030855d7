"""Borrow psycopg's connection for the hot path: send prepared statements and take answers without the GIL.

Borrowed wholly and given back wholly: idle, blocking, out of pipeline mode and with psycopg's own notice receiver,
which takes the GIL and so must not run inside a nogil call.
"""

from libc.errno cimport EINTR, errno
from libc.stdint cimport int64_t, uintptr_t
from libc.string cimport memcmp, memcpy, memset, strcmp, strncmp

from posix.time cimport timespec

from pgflow_stress_hot cimport libpq
from pgflow_stress_hot.clock cimport now_ns
from pgflow_stress_hot.recorder cimport observe
from pgflow_stress_hot.layout cimport STOP_NOW

cdef extern from "<string.h>" nogil:
    size_t strnlen(const char *text, size_t most) noexcept

cdef extern from "<poll.h>" nogil:
    cdef struct pollfd:
        int fd
        short events
        short revents
    int poll(pollfd *fds, unsigned long count, int timeout_ms) noexcept
    int ppoll(pollfd *fds, unsigned long count, const timespec *timeout, const void *signals) noexcept
    short POLLIN
    short POLLOUT

cdef extern from "<dlfcn.h>" nogil:
    void *dlopen(const char *name, int flags) noexcept
    void *dlsym(void *handle, const char *symbol) noexcept
    int RTLD_LAZY
    int RTLD_NOLOAD

cdef enum:
    SLICE_MS = 100  # longest sleep before the stop word is looked at again
    BINARY = 1

cdef const char *UNKNOWN_STATE = b"?????"
cdef const char *ENDED_STATES = b"57P0"  # and a digit: the server says that it ends the session

# All parameters are binary; libpq wants an array that says so.
cdef int ALL_BINARY[8]
for _i in range(8):
    ALL_BINARY[_i] = BINARY


cdef const char *EVENT_LOST = b"ErrorSendingBroadcastMessage"  # how realtime.send begins its warning


cdef void count_notice(void *arg, const libpq.PGresult *result) noexcept nogil:
    cdef Link *link = <Link *>arg
    cdef const char *text = libpq.PQresultErrorField(result, libpq.PG_DIAG_MESSAGE_PRIMARY)
    cdef size_t length
    link.notices += 1
    if text == NULL or strncmp(text, EVENT_LOST, 28) != 0:
        return
    if link.warnings == 0:
        length = strnlen(text, REFUSAL_TEXT - 1)
        memcpy(link.warning, text, length)
        link.warning[length] = 0
    link.warnings += 1


cdef int queue_unprepared(Link *link, const char *name, int count, const char *const *values,
                          const int *lengths) noexcept nogil:
    cdef int i
    for i in range(link.texts_count):
        if strcmp(link.texts[i].name, name) == 0:
            if libpq.PQsendQueryParams(link.conn, link.texts[i].sql, count, link.texts[i].types, values, lengths,
                                       ALL_BINARY, BINARY) == 0:
                return -1
            link.statements += 1
            return 0
    return -1


cdef int link_queue(Link *link, const char *name, int count, const char *const *values,
                    const int *lengths) noexcept nogil:
    if link.texts_count:
        return queue_unprepared(link, name, count, values, lengths)
    if libpq.PQsendQueryPrepared(link.conn, name, count, values, lengths, ALL_BINARY, BINARY) == 0:
        return -1
    link.statements += 1
    return 0


cdef int link_sync(Link *link) noexcept nogil:
    if (link.send_sync(link.conn) if link.send_sync != NULL else libpq.PQpipelineSync(link.conn)) == 0:
        return -1
    return 0


cdef int link_send(Link *link, const char *name, int count, const char *const *values,
                   const int *lengths) noexcept nogil:
    if link_queue(link, name, count, values, lengths) != 0:
        return -1
    return link_sync(link) if link.piped else 0


cdef WaitStatus wait_for(Link *link, short events) noexcept nogil:
    # One poll of at most a slice; WAIT_READY also where the slice ended without anything.
    cdef pollfd waited
    cdef int ready
    waited.fd = link.socket
    waited.events = events
    waited.revents = 0
    ready = poll(&waited, 1, SLICE_MS)
    if ready < 0 and errno != EINTR:
        return WAIT_LOST
    if ready <= 0:
        return WAIT_STOPPED if observe(link.stop) >= STOP_NOW else WAIT_READY
    if waited.revents & POLLIN or waited.revents & ~(POLLIN | POLLOUT):
        if libpq.PQconsumeInput(link.conn) == 0:
            return WAIT_LOST
    return WAIT_READY


cdef WaitStatus link_flush(Link *link) noexcept nogil:
    cdef int left
    cdef WaitStatus status
    while True:
        left = libpq.PQflush(link.conn)
        if left == 0:
            return WAIT_READY
        if left < 0:
            return WAIT_LOST
        # The server may be waiting for us to read before it reads on: look both ways.
        status = wait_for(link, POLLIN | POLLOUT)
        if status != WAIT_READY:
            return status


cdef WaitStatus wait_until_ready(Link *link) noexcept nogil:
    cdef WaitStatus status
    while libpq.PQisBusy(link.conn):
        status = wait_for(link, POLLIN)
        if status != WAIT_READY:
            return status
    return WAIT_READY


cdef bint link_has_answer(Link *link) noexcept nogil:
    return libpq.PQisBusy(link.conn) == 0


cdef bint link_is_there(Link *link) noexcept nogil:
    # What a server says as it ends is read first; the end of the stream is seen by the next look.
    cdef pollfd waited
    waited.fd = link.socket
    waited.events = POLLIN
    waited.revents = 0
    return poll(&waited, 1, 0) <= 0 or libpq.PQconsumeInput(link.conn) != 0


cdef WaitStatus links_wait(Link **links, int count, const int64_t *stop, int64_t until_ns) noexcept nogil:
    # In nanoseconds: a millisecond's rounding would be a share of the work that is waited for.
    cdef pollfd waited[64]
    cdef timespec timeout
    cdef int64_t left_ns = min(until_ns - now_ns(), <int64_t>SLICE_MS * 1_000_000)
    cdef int i, ready
    for i in range(count):
        waited[i].fd = links[i].socket
        waited[i].events = POLLIN
        waited[i].revents = 0
    timeout.tv_sec = 0
    timeout.tv_nsec = max(left_ns, 0)
    ready = ppoll(waited, count, &timeout, NULL)
    if ready < 0 and errno != EINTR:
        return WAIT_LOST
    if ready <= 0:
        return WAIT_STOPPED if observe(<int64_t *>stop) >= STOP_NOW else WAIT_READY
    for i in range(count):
        if waited[i].revents and libpq.PQconsumeInput(links[i].conn) == 0:
            return WAIT_LOST
    return WAIT_READY


cdef void keep_refusal(Link *link, const libpq.PGresult *result) noexcept nogil:
    cdef const char *state = libpq.PQresultErrorField(result, libpq.PG_DIAG_SQLSTATE)
    cdef const char *text = libpq.PQresultErrorField(result, libpq.PG_DIAG_MESSAGE_PRIMARY)
    cdef size_t length = 0
    memset(link.sqlstate, 0, SQLSTATE_SIZE)
    memcpy(link.sqlstate, UNKNOWN_STATE if state == NULL else state, 5)
    if text != NULL:
        length = strnlen(text, REFUSAL_TEXT - 1)
        memcpy(link.text, text, length)
    link.text[length] = 0


cdef WaitStatus link_take_answer(Link *link, libpq.PGresult **out) noexcept nogil:
    cdef libpq.PGresult *result
    cdef libpq.PGresult *rest
    cdef libpq.ExecStatusType status
    cdef WaitStatus waited
    out[0] = NULL
    waited = wait_until_ready(link)
    if waited != WAIT_READY:
        return waited
    result = libpq.PQgetResult(link.conn)
    if result == NULL:
        return WAIT_LOST  # an answer was due
    while True:  # up to the NULL that ends this statement's results
        waited = wait_until_ready(link)
        if waited != WAIT_READY:
            libpq.PQclear(result)
            return waited
        rest = libpq.PQgetResult(link.conn)
        if rest == NULL:
            break
        libpq.PQclear(rest)
    status = libpq.PQresultStatus(result)
    if status == libpq.PGRES_TUPLES_OK or status == libpq.PGRES_COMMAND_OK:
        out[0] = result
        return WAIT_READY
    keep_refusal(link, result)
    libpq.PQclear(result)
    if memcmp(link.sqlstate, ENDED_STATES, 4) == 0:
        return WAIT_LOST  # the end of the stream may still be on its way
    return WAIT_REFUSED if libpq.PQstatus(link.conn) == libpq.CONNECTION_OK else WAIT_LOST


cdef WaitStatus link_take_sync(Link *link) noexcept nogil:
    cdef libpq.PGresult *result
    cdef libpq.ExecStatusType status
    cdef WaitStatus waited = wait_until_ready(link)
    if waited != WAIT_READY:
        return waited
    result = libpq.PQgetResult(link.conn)
    if result == NULL:
        return WAIT_LOST
    status = libpq.PQresultStatus(result)
    libpq.PQclear(result)
    return WAIT_READY if status == libpq.PGRES_PIPELINE_SYNC else WAIT_LOST


cdef WaitStatus link_take(Link *link, libpq.PGresult **out) noexcept nogil:
    cdef WaitStatus answered = link_take_answer(link, out)
    cdef WaitStatus synced
    if not link.piped or answered == WAIT_STOPPED or answered == WAIT_LOST:
        return answered
    synced = link_take_sync(link)
    if synced == WAIT_READY:
        return answered
    libpq.PQclear(out[0])
    out[0] = NULL
    return synced


cdef send_sync_t find_send_sync() noexcept:
    # By soname: the very libpq that psycopg and this extension have loaded, whatever its scope.
    cdef void *handle = dlopen(b"libpq.so.5", RTLD_LAZY | RTLD_NOLOAD)
    return <send_sync_t>dlsym(handle, b"PQsendPipelineSync") if handle != NULL else NULL


cdef class BorrowedConnection:
    """psycopg's connection while the hot path has it; a context manager that gives it back.

    Args:
        connection: psycopg.Connection, autocommit, idle, with no cursor open.
        header: int64[>= 4], the arena's header words; the stop word ends every wait.
        piped: pipeline mode, with a Sync after each statement.
        texts: where nothing is prepared on it, what each statement is sent as: (name, SQL, types of its parameters).
    Raises:
        ValueError: too many statements or parameters, the connection is not idle, or is not of the libpq that this
            extension is linked with.
    """

    def __cinit__(self, object connection not None, int64_t[::1] header not None, bint piped, object texts=()):
        cdef int i, j
        if len(header) < 4:
            raise ValueError("need header int64[>= 4]")
        if len(texts) > MOST_TEXTS or any(len(types) > MOST_PARAMETERS for _, _, types in texts):
            raise ValueError("more statements or parameters than there is room for")
        self._connection = (connection, header, texts)  # whose bytes are pointed at
        for i, (name, sql, types) in enumerate(texts):
            self._texts[i].name = <bytes>name
            self._texts[i].sql = <bytes>sql
            for j, oid in enumerate(types):
                self._texts[i].types[j] = oid
        self.link.texts = self._texts
        self.link.texts_count = len(texts)
        self.link.stop = &header[0]
        self.link.piped = piped

    def __enter__(self):
        import psycopg
        connection = self._connection[0]
        if psycopg.pq.__impl__ != "c" or psycopg.pq.version() != libpq.PQlibVersion():
            raise ValueError("psycopg does not use the libpq that the extension is linked with")
        pgconn = connection.pgconn
        if pgconn.transaction_status != 0:
            raise ValueError("the connection is not idle")
        self.link.conn = <libpq.PGconn *><uintptr_t>pgconn.pgconn_ptr
        self.link.socket = libpq.PQsocket(self.link.conn)
        self.link.send_sync = find_send_sync()
        if self.link.socket < 0 or libpq.PQsetnonblocking(self.link.conn, 1) != 0:
            raise ValueError("the connection is gone")
        self._receiver = libpq.PQsetNoticeReceiver(self.link.conn, <libpq.PQnoticeReceiver>count_notice, &self.link)
        self._borrowed = True
        if self.link.piped and libpq.PQenterPipelineMode(self.link.conn) == 0:
            self.__exit__()
            raise ValueError("the connection cannot enter pipeline mode")
        return self

    def __exit__(self, *_exception):
        if not self._borrowed:
            return
        self._borrowed = False
        if self.link.piped:
            libpq.PQexitPipelineMode(self.link.conn)  # fails while answers are due: the caller then closes it
        libpq.PQsetnonblocking(self.link.conn, 0)
        # psycopg's receiver takes its PGconn object as the argument.
        libpq.PQsetNoticeReceiver(self.link.conn, self._receiver, <void *>self._connection[0].pgconn)

    @property
    def notices(self):
        """Notices and warnings that the server sent while it was borrowed."""
        return self.link.notices

    @property
    def warnings(self):
        """(how many, text of the first): events that realtime.send said it could not store."""
        return self.link.warnings, <bytes>self.link.warning

    @property
    def statements(self):
        """Statements sent while it was borrowed."""
        return self.link.statements


def sends_sync_unflushed():
    """Whether this libpq can queue a Sync without flushing (PQsendPipelineSync, 17 and newer)."""
    return find_send_sync() != NULL


def libpq_version():
    """Version number of the libpq that this extension is linked with, such as 180006."""
    return libpq.PQlibVersion()


def exchange(BorrowedConnection connection not None, bytes name not None, int64_t statements, int64_t per_flush,
             bint sync_each=True):
    """Send a prepared statement without parameters `statements` times, `per_flush` to a flush, and take the answers.

    Args:
        sync_each: a Sync after each statement; else one after each flush (piped connections only).
    Returns:
        Seconds that it took.
    Raises:
        ConnectionError: the connection was lost or a statement refused.
    """
    cdef int64_t done = 0, _, batch, begin
    cdef WaitStatus status = WAIT_READY
    cdef libpq.PGresult *result
    cdef Link *link = &connection.link
    cdef const char *statement = name
    cdef bint one_sync = link.piped and not sync_each
    if statements < 1 or per_flush < 1 or (per_flush > 1 and not link.piped):
        raise ValueError("need at least one statement, one per flush, and more only where piped")
    with nogil:
        begin = now_ns()
        while done < statements and status == WAIT_READY:
            batch = min(per_flush, statements - done)
            for _ in range(batch):
                if (link_queue if one_sync else link_send)(link, statement, 0, NULL, NULL) != 0:
                    status = WAIT_LOST
            if one_sync and status == WAIT_READY and link_sync(link) != 0:
                status = WAIT_LOST
            if status == WAIT_READY:
                status = link_flush(link)
            for _ in range(batch):
                if status == WAIT_READY:
                    status = (link_take_answer if one_sync else link_take)(link, &result)
                    libpq.PQclear(result)
            if one_sync and status == WAIT_READY:
                status = link_take_sync(link)
            done += batch
        begin = now_ns() - begin
    if status != WAIT_READY:
        raise ConnectionError(f"statement {name!r} was not answered: {link.sqlstate!r} {link.text!r}")
    return begin / 1e9


def round_trips(BorrowedConnection connection not None, bytes name not None, int64_t[::1] out_ns not None):
    """Time a prepared statement without parameters once for each place of out_ns, sent to answered, ns.

    Raises:
        ConnectionError: the connection was lost or the statement refused.
    """
    cdef Py_ssize_t i
    cdef int64_t sent
    cdef WaitStatus status = WAIT_READY
    cdef libpq.PGresult *result
    cdef Link *link = &connection.link
    cdef const char *statement = name
    with nogil:
        for i in range(out_ns.shape[0]):
            sent = now_ns()
            if link_send(link, statement, 0, NULL, NULL) != 0:
                status = WAIT_LOST
            if status == WAIT_READY:
                status = link_flush(link)
            if status == WAIT_READY:
                status = link_take(link, &result)
            if status != WAIT_READY:
                break
            out_ns[i] = now_ns() - sent
            libpq.PQclear(result)
    if status != WAIT_READY:
        raise ConnectionError(f"statement {name!r} was not answered: {link.sqlstate!r} {link.text!r}")
