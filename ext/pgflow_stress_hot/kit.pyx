"""What a worker polls, claims and completes with, whatever the order in which it does so."""

from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from pgflow_stress_hot.account cimport Account
from pgflow_stress_hot.slugs cimport SlugTable, slug_at, slug_length
from pgflow_stress_hot.wire cimport OID_JSONB, array_begin, array_put, buffer_free, buffer_make


cdef int messages_make(Messages *m, int64_t poll_size) except -1:
    m.ids = <uint8_t *>malloc(ARRAY_HEAD + poll_size * ID_BYTES)
    if m.ids == NULL:
        raise MemoryError("no room for messages")
    return 0


cdef void messages_free(Messages *m) noexcept:
    free(m.ids)
    m.ids = NULL


cdef class Toolkit:
    """The means of one worker; whoever works with them has them alone.

    Args:
        account: the books to write.
        worker_id: 16 bytes, registered in pgflow.workers.
        queues: flow indexes to poll, those of its own first.
        own_queues: how many of them are its own; the others are polled once its own are done.
        poll_size: most messages a poll, 1 to 10,000.
        per_completion: most tasks a completing statement; 1 unless batched.
        batched: one statement completes many.
        outputs: for each step, what its tasks give: jsonb in binary (version byte 1, then the text).
        idle_kind: 0 spin, 1 sleep idle_ns, 2 the poll waits in the server.
        delay_ns: CPU time that each task costs beyond what it must, between its claim and its completion; 0 for none.
    """

    def __cinit__(self, Account account not None, bytes worker_id not None, int64_t[::1] queues not None,
                  int64_t own_queues, int64_t poll_size, int64_t per_completion, bint batched, list outputs not None,
                  int idle_kind, int64_t idle_ns, int64_t max_poll_seconds, int64_t poll_interval_ms,
                  int64_t delay_ns=0):
        cdef Kit *kit = &self.kit
        cdef int64_t i
        if len(worker_id) != 16 or len(queues) < 1 or not 0 <= own_queues <= len(queues):
            raise ValueError("worker_id or queues")
        if len(outputs) != account.books.step_slugs.count:
            raise ValueError("an output for each step")
        if not 1 <= poll_size <= 10_000 or per_completion < 1:
            raise ValueError("poll_size or per_completion")
        self.account = account
        kit.books = &account.books
        memcpy(kit.worker_id, <const char *>worker_id, 16)
        kit.queues = <int64_t *>malloc(len(queues) * sizeof(int64_t))
        if kit.queues == NULL:
            raise MemoryError("no room for the queues")
        for i in range(len(queues)):
            if not 0 <= queues[i] < account.books.flows:
                raise ValueError(f"no flow {queues[i]}")
            kit.queues[i] = queues[i]
        kit.queue_count = len(queues)
        kit.own_queues = own_queues
        kit.poll_size = poll_size
        kit.per_completion = min(per_completion, poll_size) if batched else 1
        kit.batched = batched
        kit.idle_kind = idle_kind
        kit.idle_ns = idle_ns
        kit.max_poll_seconds = max_poll_seconds
        kit.poll_interval_ms = poll_interval_ms
        kit.delay_ns = delay_ns
        self._make_parameters(outputs)

    cdef int _make_parameters(self, list outputs) except -1:
        cdef Kit *kit = &self.kit
        cdef int64_t i, steps = len(outputs), longest = kit.books.step_slugs.longest
        self.values = SlugTable(sorted(set(outputs)))
        kit.values = &self.values.slugs
        kit.output_of = <int64_t *>malloc(steps * sizeof(int64_t))
        kit.places = <int64_t *>malloc(kit.per_completion * sizeof(int64_t))
        if kit.output_of == NULL or kit.places == NULL:
            raise MemoryError("no room for the outputs")
        for i in range(steps):
            kit.output_of[i] = self.values.find(outputs[i])
        kit.one_output = len(self.values) == 1
        buffer_make(&kit.runs, 20 + kit.per_completion * 20)
        buffer_make(&kit.steps, 20 + kit.per_completion * (4 + longest))
        buffer_make(&kit.indexes, 20 + kit.per_completion * 8)
        if kit.batched:
            buffer_make(&kit.outputs, 20 + kit.per_completion * (4 + kit.values.longest))
            if kit.one_output:
                # Filled once, and cut to the batch by its count.
                array_begin(&kit.outputs, OID_JSONB, <int>kit.per_completion)
                for _ in range(kit.per_completion):
                    array_put(&kit.outputs, slug_at(kit.values, 0), slug_length(kit.values, 0))
        return 0

    def __dealloc__(self):
        free(self.kit.queues)
        free(self.kit.output_of)
        free(self.kit.places)
        buffer_free(&self.kit.runs)
        buffer_free(&self.kit.steps)
        buffer_free(&self.kit.indexes)
        buffer_free(&self.kit.outputs)
