# Poll a queue and claim its tasks: the two statements, and what their answers say. On prepared statements.
from libc.stdint cimport int32_t, int64_t

from pgflow_stress_hot cimport libpq
from pgflow_stress_hot.connection cimport Link
from pgflow_stress_hot.flight cimport Flights, LoopEnd
from pgflow_stress_hot.kit cimport Kit, Messages, Task

# The next queue in turn with tasks that are neither completed nor in our own hands: own ones first. -1: none.
cdef int64_t pick_queue(Kit *kit, int64_t in_hand, int64_t in_hand_of) noexcept nogil
cdef int64_t next_own_queue(Kit *kit) noexcept nogil  # as a worker that cannot know when the next run comes
cdef int send_read(Kit *kit, Link *link, Messages *into, int64_t flow, int64_t quantity) noexcept nogil
# The answer of the poll that is the oldest statement in flight.
cdef LoopEnd take_read(Kit *kit, Flights *flights, Link *link, Messages *into) noexcept nogil
cdef void book_read(Kit *kit, const Messages *read) noexcept nogil
cdef int send_start(Kit *kit, Link *link, Messages *polled) noexcept nogil
# The tasks that start_tasks answered with, completions before what fails by design, each in the order of their runs.
cdef int64_t fill_tasks(Kit *kit, const libpq.PGresult *result, Task *tasks) noexcept nogil
cdef void know_task(Kit *kit, Task *task) noexcept nogil  # what its run, step and index say
cdef void book_claim(Kit *kit, int64_t sent_ns, const Messages *polled, int64_t claimed,
                     int64_t done_ns) noexcept nogil
cdef LoopEnd refused(Kit *kit, Link *link, int operation, int64_t sent_ns, int64_t done_ns, int64_t flow,
                     int32_t batch, int32_t attempts) noexcept nogil  # END_DONE: the statement may be sent again
cdef int by_outcome_and_run(const void *left, const void *right) noexcept nogil
