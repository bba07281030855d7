# Tasks in hand while their work goes on: slots made before the window, and when each is due.
from libc.stdint cimport int32_t, int64_t

from pgflow_stress_hot.due cimport DueHeap
from pgflow_stress_hot.durations cimport Durations
from pgflow_stress_hot.kit cimport Kit, Messages, Task

cdef struct Held:
    Task task
    int64_t flow
    int64_t read_ns  # its poll sent
    int64_t read_done_ns  # its poll answered: in hand from then on
    int64_t work_ns
    int32_t batch
    int32_t attempts  # of its completion that were refused

cdef struct Hand:
    Held *slots  # [capacity]
    int64_t *free  # [capacity]: a stack
    int64_t free_count
    int64_t capacity
    int64_t *of_flow  # [flows]: tasks in hand
    int64_t work_ns  # of all that was held so far

cdef int hand_make(Hand *hand, int64_t capacity, int64_t flows) except -1
cdef void hand_free(Hand *hand) noexcept
# Take a claimed task in hand; its slot.
cdef int64_t hand_hold(Hand *hand, Kit *kit, Durations durations, const Task *task,
                       const Messages *polled) noexcept nogil
# Its end was answered, completed or not.
cdef void hand_release(Hand *hand, Kit *kit, int64_t slot, int64_t done_ns) noexcept nogil
# A task was completed: its books. The cycle times of a statement's tasks are recorded apart.
cdef void hand_completed(Hand *hand, Kit *kit, const Task *task, int64_t done_ns) noexcept nogil
cdef void time_cycles(Kit *kit, int64_t read_ns, int64_t done_ns, int64_t tasks) noexcept nogil

cdef inline int64_t hand_count(const Hand *hand) noexcept nogil:
    return hand.capacity - hand.free_count
