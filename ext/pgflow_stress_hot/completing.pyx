"""Complete tasks, or fail them by design: the statements `complete` and `fail` (engine.statements has their texts)."""

from libc.stdint cimport uint8_t
from libc.string cimport memcmp

from pgflow_stress_hot cimport libpq
from pgflow_stress_hot.account cimport book_completion, book_failed_run
from pgflow_stress_hot.connection cimport link_send
from pgflow_stress_hot.layout cimport L_COMPLETED, L_FAILED, OP_TASK, ST_OK, W_CLAIMED, W_NOT_OURS
from pgflow_stress_hot.recorder cimport add_failure, publish, record_row
from pgflow_stress_hot.slugs cimport Slugs, slug_at, slug_length
from pgflow_stress_hot.wire cimport (
    ArrayReader, OID_INT4, OID_JSONB, OID_TEXT, OID_UUID, array_begin, array_next, array_put, array_put_int4,
    array_read, get_int8, put_int4,
)

FAILURE = b"planted by pgflow-stress"


cdef void fill_outputs(Kit *kit, const Task *tasks, int64_t count) noexcept nogil:
    cdef const Slugs *values = kit.values
    cdef int64_t i, output
    if kit.one_output:
        put_int4(kit.outputs.bytes + 12, <int32_t>count)
        kit.outputs.length = <int>(20 + count * (4 + slug_length(values, 0)))
        return
    array_begin(&kit.outputs, OID_JSONB, <int>count)
    for i in range(count):
        output = kit.output_of[tasks[i].step]
        array_put(&kit.outputs, slug_at(values, output), slug_length(values, output))


cdef int send_one(Kit *kit, Link *link, const Task *task) noexcept nogil:
    cdef const char *values[4]
    cdef int lengths[4]
    cdef uint8_t index[4]
    put_int4(index, task.index)
    values[0] = <const char *>task.run_id
    lengths[0] = 16
    values[1] = slug_at(kit.books.step_slugs, task.step)
    lengths[1] = slug_length(kit.books.step_slugs, task.step)
    values[2] = <char *>index
    lengths[2] = 4
    values[3] = FAILURE if task.fails else slug_at(kit.values, kit.output_of[task.step])
    lengths[3] = FAILURE_LENGTH if task.fails else slug_length(kit.values, kit.output_of[task.step])
    return link_send(link, b"fail" if task.fails else b"complete", 4, values, lengths)


cdef int send_completion(Kit *kit, Link *link, const Task *tasks, int64_t count) noexcept nogil:
    cdef const Slugs *step_slugs = kit.books.step_slugs
    cdef const char *values[4]
    cdef int lengths[4]
    cdef int64_t i
    if not kit.batched:
        return send_one(kit, link, tasks)
    array_begin(&kit.runs, OID_UUID, <int>count)
    array_begin(&kit.steps, OID_TEXT, <int>count)
    array_begin(&kit.indexes, OID_INT4, <int>count)
    for i in range(count):
        array_put(&kit.runs, tasks[i].run_id, 16)
        array_put(&kit.steps, slug_at(step_slugs, tasks[i].step), slug_length(step_slugs, tasks[i].step))
        array_put_int4(&kit.indexes, tasks[i].index)
    values[0] = <char *>kit.runs.bytes
    lengths[0] = kit.runs.length
    values[1] = <char *>kit.steps.bytes
    lengths[1] = kit.steps.length
    values[2] = <char *>kit.indexes.bytes
    lengths[2] = kit.indexes.length
    if tasks[0].fails:
        values[3] = FAILURE
        lengths[3] = FAILURE_LENGTH
        return link_send(link, b"fail", 4, values, lengths)
    fill_outputs(kit, tasks, count)
    values[3] = <char *>kit.outputs.bytes
    lengths[3] = kit.outputs.length
    return link_send(link, b"complete", 4, values, lengths)


cdef void count_attempts(Kit *kit, const Task *tasks, int64_t count) noexcept nogil:
    cdef int64_t i
    for i in range(count):
        add_failure(&kit.books.ledger[tasks[i].place], L_FAILED)


cdef bint says(const libpq.PGresult *result, const char *word, int length) noexcept nogil:
    return (libpq.PQgetlength(result, 0, 0) == length
            and memcmp(libpq.PQgetvalue(result, 0, 0), word, length) == 0)


cdef int64_t keep_places(Kit *kit, const libpq.PGresult *result, int64_t count) noexcept nogil:
    # The answer's int8[] of places, which count from 1.
    cdef ArrayReader places
    cdef const char *element
    cdef int length
    cdef int64_t place, kept = 0
    if libpq.PQgetisnull(result, 0, 1):
        return 0
    places = array_read(libpq.PQgetvalue(result, 0, 1), libpq.PQgetlength(result, 0, 1))
    while places.left > 0 and kept < count:
        element = array_next(&places, &length)
        if element == NULL:
            break
        place = get_int8(element) - 1
        if 0 <= place < count:
            kit.places[kept] = place
            kept += 1
    return kept


cdef int64_t completed_of(Kit *kit, const libpq.PGresult *result, int64_t count) noexcept nogil:
    cdef int64_t completed
    if libpq.PQntuples(result) != 1:
        return 0
    if not kit.batched:
        return 1 if says(result, b"completed", 9) else 0
    completed = get_int8(libpq.PQgetvalue(result, 0, 0))
    return completed if completed == count else keep_places(kit, result, count)


cdef void book_failure(Kit *kit, const Task *task, int64_t done_ns) noexcept nogil:
    book_failed_run(kit.books, task.run, kit.books.run_flow[task.run], done_ns)


cdef void book_failures(Kit *kit, const Task *tasks, int64_t count, const libpq.PGresult *result,
                        int64_t done_ns) noexcept nogil:
    cdef int64_t i, failed
    if libpq.PQntuples(result) != 1:
        return
    if not kit.batched:
        if says(result, b"failed", 6):
            book_failure(kit, &tasks[0], done_ns)
        return
    failed = keep_places(kit, result, count)
    for i in range(failed):
        book_failure(kit, &tasks[kit.places[i]], done_ns)


cdef void book_task(Kit *kit, int64_t flow, int32_t batch, int64_t read_ns, const Task *task,
                    int64_t done_ns) noexcept nogil:
    book_completion(kit.books, task.run, flow, task.place, done_ns, L_COMPLETED)
    record_row(kit.books.recorder, read_ns, done_ns, task.msg_id, <int32_t>task.run, task.step, task.index, batch,
               OP_TASK, ST_OK, 1, <int32_t>flow)


cdef void leave_alone(Kit *kit) noexcept nogil:
    cdef int64_t *words = kit.books.recorder.words
    publish(&words[W_NOT_OURS], words[W_NOT_OURS] + 1)
    publish(&words[W_CLAIMED], words[W_CLAIMED] - 1)
