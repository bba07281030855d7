# Complete tasks, or fail them by design: the two statements, what their answers say, and the books. Prepared.
from libc.stdint cimport int32_t, int64_t

from pgflow_stress_hot cimport libpq
from pgflow_stress_hot.connection cimport Link
from pgflow_stress_hot.kit cimport Kit, Task

cdef const char *FAILURE  # what fails by design fails of
cdef enum:
    FAILURE_LENGTH = 24

# Of tasks that all complete, or all fail by design: tasks[0 .. count), at most kit.per_completion.
cdef int send_completion(Kit *kit, Link *link, const Task *tasks, int64_t count) noexcept nogil
# How many of a completing statement's tasks are completed; where not all, kit.places has which.
cdef int64_t completed_of(Kit *kit, const libpq.PGresult *result, int64_t count) noexcept nogil
# A failing statement was answered: book the runs of tasks that failed for good; the others come round again.
cdef void book_failures(Kit *kit, const Task *tasks, int64_t count, const libpq.PGresult *result,
                        int64_t done_ns) noexcept nogil
# Before failing statements are sent: without a delay another worker may have a task again before the answer is in.
cdef void count_attempts(Kit *kit, const Task *tasks, int64_t count) noexcept nogil
cdef void book_task(Kit *kit, int64_t flow, int32_t batch, int64_t read_ns, const Task *task,
                    int64_t done_ns) noexcept nogil
cdef void leave_alone(Kit *kit) noexcept nogil  # a task of a run or step that is not ours: counted
