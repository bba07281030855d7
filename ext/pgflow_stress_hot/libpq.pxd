# libpq, as far as it is used. Owner of every PGresult is whoever got it; it is freed with PQclear.
cdef extern from "libpq-fe.h" nogil:
    ctypedef struct PGconn:
        pass
    ctypedef struct PGresult:
        pass
    ctypedef unsigned int Oid
    ctypedef enum ConnStatusType:
        CONNECTION_OK
        CONNECTION_BAD
    ctypedef enum ExecStatusType:
        PGRES_EMPTY_QUERY
        PGRES_COMMAND_OK
        PGRES_TUPLES_OK
        PGRES_FATAL_ERROR
        PGRES_PIPELINE_SYNC
        PGRES_PIPELINE_ABORTED
    ctypedef void (*PQnoticeReceiver)(void *arg, const PGresult *res) noexcept
    ctypedef struct PGnotify:
        char *relname  # the channel
        int be_pid
        char *extra
    int PG_DIAG_SQLSTATE
    int PG_DIAG_MESSAGE_PRIMARY

    int PQlibVersion() noexcept
    ConnStatusType PQstatus(const PGconn *conn) noexcept
    int PQsocket(const PGconn *conn) noexcept
    int PQbackendPID(const PGconn *conn) noexcept
    int PQsetnonblocking(PGconn *conn, int arg) noexcept
    int PQenterPipelineMode(PGconn *conn) noexcept
    int PQexitPipelineMode(PGconn *conn) noexcept
    int PQpipelineSync(PGconn *conn) noexcept
    int PQsendQueryPrepared(PGconn *conn, const char *name, int count, const char *const *values,
                            const int *lengths, const int *formats, int result_format) noexcept
    int PQsendQueryParams(PGconn *conn, const char *command, int count, const Oid *types, const char *const *values,
                          const int *lengths, const int *formats, int result_format) noexcept
    int PQsendPrepare(PGconn *conn, const char *name, const char *query, int count, const Oid *types) noexcept
    int PQsendDescribePrepared(PGconn *conn, const char *name) noexcept
    int PQsendFlushRequest(PGconn *conn) noexcept
    int PQflush(PGconn *conn) noexcept
    int PQconsumeInput(PGconn *conn) noexcept
    int PQisBusy(PGconn *conn) noexcept
    PGresult *PQgetResult(PGconn *conn) noexcept
    ExecStatusType PQresultStatus(const PGresult *res) noexcept
    char *PQresultErrorField(const PGresult *res, int field) noexcept
    char *PQerrorMessage(const PGconn *conn) noexcept
    int PQntuples(const PGresult *res) noexcept
    int PQnfields(const PGresult *res) noexcept
    char *PQgetvalue(const PGresult *res, int row, int column) noexcept
    int PQfnumber(const PGresult *res, const char *column) noexcept
    int PQgetisnull(const PGresult *res, int row, int column) noexcept
    int PQgetlength(const PGresult *res, int row, int column) noexcept
    void PQclear(PGresult *res) noexcept
    PQnoticeReceiver PQsetNoticeReceiver(PGconn *conn, PQnoticeReceiver proc, void *arg) noexcept
    int PQgetCopyData(PGconn *conn, char **buffer, int async_) noexcept
    int PQputCopyData(PGconn *conn, const char *buffer, int length) noexcept
    PGnotify *PQnotifies(PGconn *conn) noexcept
    void PQfreemem(void *memory) noexcept
