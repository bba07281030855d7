from libc.stdint cimport int32_t, int64_t, uint8_t

from pgflow_stress_hot.account cimport Account
from pgflow_stress_hot.connection cimport Link
from pgflow_stress_hot.flight cimport Flights
from pgflow_stress_hot.wire cimport Buffer

cdef struct Task:
    uint8_t run_id[16]
    int64_t run  # index; -1: of no run of ours
    int64_t msg_id
    int64_t place  # in the ledger
    int32_t step
    int32_t index

cdef struct Messages:  # what a poll brought
    uint8_t *ids  # their ids, the int8[] as it came: it goes to start_tasks as it is
    int ids_length
    int64_t count
    int64_t flow
    int64_t sent_ns
    int64_t done_ns
    int32_t batch
    bint answered

cdef enum:  # kinds of idling
    IDLE_SPIN = 0
    IDLE_SLEEP = 1
    IDLE_SERVER = 2  # the poll itself waits: read_with_poll

cdef class Cycle:
    cdef Account account
    cdef Flights flights
    cdef Messages polled[2]  # the batch being worked on, and the one read ahead
    cdef Task *tasks  # [poll_size] of the batch being worked on, by run
    cdef int64_t task_count
    cdef int64_t *queues  # flows to poll: own ones first
    cdef int64_t queue_count
    cdef int64_t own_queues
    cdef int64_t next_own
    cdef int64_t next_other
    cdef int64_t poll_size
    cdef int64_t per_completion  # most tasks of one completion
    cdef int64_t window  # most completions in flight
    cdef bint batched
    cdef bint read_ahead  # the next poll goes with the last completions
    cdef int idle_kind
    cdef int64_t idle_ns
    cdef int64_t max_poll_seconds
    cdef int64_t poll_interval_ms
    cdef Buffer runs  # a completion's parameters
    cdef Buffer steps
    cdef Buffer indexes
    cdef Buffer outputs
    cdef object _output
    cdef const uint8_t *output_bytes
    cdef int64_t output_length
    cdef int64_t delay_ns  # of CPU time, a task
    cdef int schedstat  # descriptor; -1 where the kernel has none
    cdef uint8_t worker_id[16]
