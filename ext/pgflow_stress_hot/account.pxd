from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from pgflow_stress_hot.recorder cimport Recorder, Region
from pgflow_stress_hot.slugs cimport Slugs, SlugTable

cdef struct Books:  # everything that one process writes and reads of the arena: a view, owns nothing
    Recorder *recorder
    int64_t *header  # HeaderWord; read only
    int64_t *runs  # [run_count][R_COUNT], shared by all workers
    int64_t run_count
    int64_t *run_flow  # [run_count]: which flow a run is of
    int64_t *first_task  # [run_count + 1]: where a run's tasks begin in the ledger
    uint8_t *ledger  # [first_task[run_count]] of LedgerBit, shared by all workers
    int64_t *step_offsets  # [steps]: a step's first task among those of its run
    int64_t *step_tasks  # [steps]
    int64_t *flow_steps  # [flows][2]: a flow's first step among all, and how many it has
    uint64_t *fail_below  # [steps]: an attempt whose number is below this fails; NULL where nothing fails by design
    int64_t *doomed  # [run_count]: the task, as a place in the ledger, whose every attempt fails; -1: none
    uint64_t seed
    int64_t *started  # [processes][flows]: tasks of runs started, by who started them
    int64_t *done  # [processes][flows]: tasks completed, by who completed them
    int64_t *caused  # of each task: when a task's completion was sent; NULL where nobody observes
    int64_t *steps_created  # [flows]: written by the one worker that creates the flow; -1: no flow yet
    int64_t processes
    int64_t flows
    int64_t me  # this process's row of started and done
    uint8_t run_id[16]  # of run 0: UUIDv8, the index in the last 58 bits
    const Slugs *flow_slugs
    const Slugs *step_slugs

cdef int64_t run_index_of(const Books *b, const char *run_id) noexcept nogil  # -1: not of this repetition
cdef void put_run_id(const Books *b, int64_t run_index, uint8_t *out) noexcept nogil
cdef int64_t tasks_left(const Books *b, int64_t flow) noexcept nogil  # of started runs, not completed
cdef int64_t ledger_place(const Books *b, int64_t run, int32_t step, int32_t task) noexcept nogil  # -1: none
cdef uint64_t mixed(uint64_t x) noexcept nogil  # a number as good as drawn
cdef bint fails(const Books *b, int64_t run, int32_t step, int64_t place) noexcept nogil  # the task's next attempt
# A run that failed for good: what it has left is nobody's any more. The first to say so counts.
cdef void book_failed_run(Books *b, int64_t run, int64_t flow, int64_t done_ns) noexcept nogil
cdef bint book_completion(Books *b, int64_t run, int64_t flow, int64_t place, int64_t done_ns,
                          uint8_t bits) noexcept nogil

cdef inline int64_t tasks_of(const Books *b, int64_t run) noexcept nogil:
    return b.first_task[run + 1] - b.first_task[run]

cdef class Account:
    cdef Books books
    cdef readonly Region region
    cdef SlugTable flow_slugs
    cdef SlugTable step_slugs
    cdef object _owners
    cdef int32_t _step_at(self, int64_t run, int64_t place) noexcept
