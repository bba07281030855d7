from libc.stdint cimport int32_t, int64_t

from pgflow_stress_hot.due cimport DueHeap
from pgflow_stress_hot.durations cimport Durations
from pgflow_stress_hot.flight cimport Flights
from pgflow_stress_hot.held cimport Hand
from pgflow_stress_hot.kit cimport Kit, Messages, Task, Toolkit
from pgflow_stress_hot.usage cimport Schedstat

cdef enum Polling:
    POLL_NONE = 0
    POLL_SENT = 1
    POLL_ANSWERED = 2  # its messages wait to be claimed
    POLL_CLAIMING = 3

cdef class WorkingCycle:
    cdef Toolkit toolkit
    cdef Kit *kit
    cdef Schedstat schedstat
    cdef Durations durations
    cdef Flights flights
    cdef Hand hand
    cdef DueHeap due[2]  # slots whose work goes on: what will be completed, and what will fail by design
    cdef Task *claimed  # [poll_size]: as start_tasks answered
    cdef Task *going  # [going_room]: those of the statements in flight, each statement's side by side
    cdef int64_t going_room
    cdef int64_t going_next
    cdef Messages polled
    cdef Polling polling
    cdef int32_t claim_attempts
    cdef int64_t empty_in_turn
    cdef int64_t poll_from_ns  # no poll before it: the worker idles
    cdef int64_t window  # most completions in flight
    cdef int64_t completions  # in flight
