# What a worker polls, claims and completes with: options and buffers, made before the window and filled inside it.
from libc.stdint cimport int32_t, int64_t, uint8_t

from pgflow_stress_hot.account cimport Account, Books
from pgflow_stress_hot.slugs cimport Slugs, SlugTable
from pgflow_stress_hot.wire cimport Buffer

cdef enum:
    ARRAY_HEAD = 20  # bytes before the first element of an array
    ID_BYTES = 12  # of an int8 in an array, with its length
    MOST_ATTEMPTS = 100  # of a statement refused with an error that passes: deadlock, serialisation, timestamps

cdef enum:  # kinds of idling
    IDLE_SPIN = 0
    IDLE_SLEEP = 1
    IDLE_SERVER = 2  # the poll itself waits: read_with_poll

cdef struct Task:
    uint8_t run_id[16]
    int64_t run  # index; -1: of no run of ours
    int64_t msg_id
    int64_t place  # in the ledger
    int32_t step
    int32_t index
    bint fails  # by design: its end is fail_task
    int64_t slot  # where it is held, of whoever holds tasks in no order

cdef struct Messages:  # what a poll brought
    uint8_t *ids  # their ids, the int8[] as it came: it goes to start_tasks as it is
    int ids_length
    int64_t count
    int64_t flow
    int64_t sent_ns
    int64_t done_ns
    int32_t batch
    bint answered

cdef struct Kit:
    Books *books
    uint8_t worker_id[16]
    int64_t *queues  # flows to poll: own ones first
    int64_t queue_count
    int64_t own_queues
    int64_t next_own
    int64_t next_other
    int64_t *in_hand  # [flows]: tasks of each that are in our hands; NULL where whoever asks says so
    int64_t poll_size
    int64_t per_completion  # most tasks of one completion
    bint batched
    int idle_kind
    int64_t idle_ns
    int64_t max_poll_seconds
    int64_t poll_interval_ms
    Buffer runs  # a completion's parameters
    Buffer steps
    Buffer indexes
    Buffer outputs
    int64_t *places  # [per_completion]: of tasks in a statement, that its answer names
    const Slugs *values  # what tasks give, each value once
    int64_t *output_of  # [steps]: index into values
    bint one_output  # all give the same: its array is filled before the window
    int64_t delay_ns  # of CPU time, a task

cdef class Toolkit:
    cdef Kit kit
    cdef Account account
    cdef SlugTable values
    cdef int _make_parameters(self, list outputs) except -1

cdef int messages_make(Messages *m, int64_t poll_size) except -1
cdef void messages_free(Messages *m) noexcept
