"""Tasks in hand, in no order: each in a slot of its own from its claim to the answer of its completion."""

from libc.stdlib cimport calloc, free, malloc

from pgflow_stress_hot.completing cimport book_task
from pgflow_stress_hot.durations cimport duration_ns
from pgflow_stress_hot.histogram cimport histogram_record
from pgflow_stress_hot.layout cimport OP_TASK, W_CLAIMED, W_LONGEST_CYCLE_NS, W_RESIDENCE_NS
from pgflow_stress_hot.recorder cimport publish


cdef int hand_make(Hand *hand, int64_t capacity, int64_t flows) except -1:
    cdef int64_t i
    hand.slots = <Held *>malloc(capacity * sizeof(Held))
    hand.free = <int64_t *>malloc(capacity * sizeof(int64_t))
    hand.of_flow = <int64_t *>calloc(flows, sizeof(int64_t))
    if hand.slots == NULL or hand.free == NULL or hand.of_flow == NULL:
        raise MemoryError(f"no room for {capacity} tasks in hand")
    hand.capacity = capacity
    hand.free_count = capacity
    for i in range(capacity):
        hand.free[i] = capacity - 1 - i
    return 0


cdef void hand_free(Hand *hand) noexcept:
    free(hand.slots)
    free(hand.free)
    free(hand.of_flow)
    hand.slots = NULL
    hand.free = hand.of_flow = NULL


cdef int64_t hand_hold(Hand *hand, Kit *kit, Durations durations, const Task *task,
                       const Messages *polled) noexcept nogil:
    cdef int64_t slot
    cdef Held *held
    hand.free_count -= 1
    slot = hand.free[hand.free_count]
    held = &hand.slots[slot]
    held.task = task[0]
    held.task.slot = slot
    held.flow = polled.flow
    held.read_ns = polled.sent_ns
    held.read_done_ns = polled.done_ns
    held.batch = polled.batch
    held.attempts = 0
    hand.of_flow[polled.flow] += 1
    held.work_ns = duration_ns(durations, task.step, task.place, kit.books.ledger[task.place] >> 4)
    hand.work_ns += held.work_ns
    return slot


cdef void hand_completed(Hand *hand, Kit *kit, const Task *task, int64_t done_ns) noexcept nogil:
    cdef Held *held = &hand.slots[task.slot]
    book_task(kit, held.flow, held.batch, held.read_ns, task, done_ns)


cdef void time_cycles(Kit *kit, int64_t read_ns, int64_t done_ns, int64_t tasks) noexcept nogil:
    if tasks > 0:
        histogram_record(&kit.books.recorder.histograms[OP_TASK], done_ns - read_ns, tasks)


cdef void hand_release(Hand *hand, Kit *kit, int64_t slot, int64_t done_ns) noexcept nogil:
    cdef int64_t *words = kit.books.recorder.words
    cdef Held *held = &hand.slots[slot]
    publish(&words[W_CLAIMED], words[W_CLAIMED] - 1)
    words[W_RESIDENCE_NS] += done_ns - held.read_done_ns
    if done_ns - held.read_ns > words[W_LONGEST_CYCLE_NS]:
        words[W_LONGEST_CYCLE_NS] = done_ns - held.read_ns
    hand.of_flow[held.flow] -= 1
    hand.free[hand.free_count] = slot
    hand.free_count += 1
