from libc.stdint cimport int32_t, int64_t

from pgflow_stress_hot cimport libpq
from pgflow_stress_hot.due cimport DueHeap
from pgflow_stress_hot.durations cimport Durations
from pgflow_stress_hot.held cimport Hand
from pgflow_stress_hot.kit cimport Kit, Messages, Task, Toolkit
from pgflow_stress_hot.lanes cimport Lanes
from pgflow_stress_hot.texts cimport Strings
from pgflow_stress_hot.usage cimport Schedstat

cdef enum EdgeStage:  # what the worker is at
    EDGE_BETWEEN = 0  # batches
    EDGE_AWAITING = 1  # heartbeat, poll or claim
    EDGE_POLLED = 2  # messages that wait to be claimed
    EDGE_WORKING = 3

cdef enum:
    OP_HEARTBEAT = -2  # no operation that is timed

cdef struct Statements:
    const char *read
    const char *start_tasks
    const char *complete
    const char *fail
    const char *heartbeat

cdef class EdgeCycle:
    cdef Toolkit toolkit
    cdef Kit *kit
    cdef Schedstat schedstat
    cdef Durations durations
    cdef Statements sql
    cdef object _texts
    cdef Strings flows
    cdef Strings steps
    cdef Strings outputs
    cdef Lanes lanes
    cdef Hand hand
    cdef DueHeap due  # slots whose work goes on
    cdef int64_t *order  # [poll_size]: slots of the batch, as start_tasks answered
    cdef int64_t batch_count
    cdef int64_t next_begun  # of order: those from it on wait for their work to begin
    cdef int64_t active  # begun and not answered, at most `concurrency`
    cdef int64_t *ready  # [ready_room]: a ring of slots whose work is over
    cdef int64_t ready_room
    cdef int64_t ready_head
    cdef int64_t ready_tail
    cdef int64_t concurrency
    cdef int64_t heartbeat_ns
    cdef int64_t last_heartbeat_ns
    cdef Messages polled
    cdef char *ids  # of the messages polled, an int8[] in text
    cdef int32_t claim_attempts
    cdef EdgeStage stage
    cdef int status_field  # of a step_tasks row
    cdef char vt[21]
    cdef char quantity[21]
    cdef char seconds[21]
    cdef char interval[21]
    cdef char worker_id[37]
