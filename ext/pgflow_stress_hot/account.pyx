"""The books of one process: what was started, claimed and completed, by id, in the arena that all share."""

from libc.stdint cimport uint64_t
from libc.string cimport memcmp, memcpy

from pgflow_stress_hot.clock cimport now_ns
from pgflow_stress_hot.layout cimport (
    H_IN_FLIGHT, L_CLAIMED, L_COMPLETED, L_SETTLED, L_TWICE, OP_TASK, R_COMPLETED, R_COUNT, R_FAILED_NS, R_LAST_DONE_NS,
    R_SENT_NS, R_STARTED_NS, ST_ADOPTED, ST_LOST, ST_SETTLED, WRITTEN_OFF, W_COMPLETED_TWICE, W_TASKS_COMPLETED,
)
from pgflow_stress_hot.recorder cimport add_shared, and_shared, observe, or_shared, publish, raise_shared, record_row
from pgflow_stress_hot.wire cimport get_int8, put_int8

cdef int64_t INDEX_MASK = (<int64_t>1 << 58) - 1


cdef int64_t run_index_of(const Books *b, const char *run_id) noexcept nogil:
    cdef int64_t low, index
    if memcmp(run_id, b.run_id, 8) != 0:
        return -1
    low = get_int8(run_id + 8)
    if (low & ~INDEX_MASK) != (get_int8(<const char *>b.run_id + 8) & ~INDEX_MASK):
        return -1
    index = low & INDEX_MASK
    return index if index < b.run_count else -1


cdef void put_run_id(const Books *b, int64_t run_index, uint8_t *out) noexcept nogil:
    memcpy(out, b.run_id, 8)
    put_int8(out + 8, get_int8(<const char *>b.run_id + 8) | run_index)


cdef int64_t tasks_left(const Books *b, int64_t flow) noexcept nogil:
    cdef int64_t process, left = 0
    for process in range(b.processes):
        left += observe(&b.started[process * b.flows + flow]) - observe(&b.done[process * b.flows + flow])
    return left


cdef int64_t ledger_place(const Books *b, int64_t run, int32_t step, int32_t task) noexcept nogil:
    if run < 0 or step < 0 or task < 0 or task >= b.step_tasks[step]:
        return -1
    return b.first_task[run] + b.step_offsets[step] + task


cdef uint64_t mixed(uint64_t x) noexcept nogil:
    # The finalizer of SplitMix64 (Steele, Lea, Flood 2014); scenario.failing has the same.
    x = (x ^ (x >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
    x = (x ^ (x >> 27)) * <uint64_t>0x94D049BB133111EB
    return x ^ (x >> 31)


cdef bint fails(const Books *b, int64_t run, int32_t step, int64_t place) noexcept nogil:
    cdef uint64_t attempt
    if b.fail_below == NULL or place < 0:
        return False
    if b.doomed[run] == place:
        return True
    attempt = <uint64_t>place * 16 + (b.ledger[place] >> 4)
    return mixed(mixed(attempt + b.seed) + <uint64_t>0x9E3779B97F4A7C15) < b.fail_below[step]


cdef bint book_completion(Books *b, int64_t run, int64_t flow, int64_t place, int64_t done_ns,
                          uint8_t bits) noexcept nogil:
    # True where this was the first completion of the task; a second one is counted and changes nothing else.
    cdef int64_t *words = b.recorder.words
    cdef int64_t *mine = &b.done[b.me * b.flows + flow]
    cdef int64_t before
    if or_shared(&b.ledger[place], bits) & L_COMPLETED:
        publish(&words[W_COMPLETED_TWICE], words[W_COMPLETED_TWICE] + 1)
        or_shared(&b.ledger[place], L_TWICE)
        return False
    raise_shared(&b.runs[run * R_COUNT + R_LAST_DONE_NS], done_ns)
    before = add_shared(&b.runs[run * R_COUNT + R_COMPLETED], 1)
    if before + 1 == tasks_of(b, run):
        add_shared(&b.header[H_IN_FLIGHT], -1)  # of use where their number is limited
    if before < WRITTEN_OFF:
        publish(mine, mine[0] + 1)
    publish(&words[W_TASKS_COMPLETED], words[W_TASKS_COMPLETED] + 1)
    return True


cdef void book_failed_run(Books *b, int64_t run, int64_t flow, int64_t done_ns) noexcept nogil:
    # One atomic word holds both the count and the failure, so that each task is counted done by exactly one.
    cdef int64_t *mine = &b.done[b.me * b.flows + flow]
    cdef int64_t before = add_shared(&b.runs[run * R_COUNT + R_COMPLETED], WRITTEN_OFF)
    if before >= WRITTEN_OFF:
        add_shared(&b.runs[run * R_COUNT + R_COMPLETED], -WRITTEN_OFF)
        return
    raise_shared(&b.runs[run * R_COUNT + R_LAST_DONE_NS], done_ns)
    publish(&b.runs[run * R_COUNT + R_FAILED_NS], done_ns)
    add_shared(&b.header[H_IN_FLIGHT], -1)
    publish(mine, mine[0] + tasks_of(b, run) - before)


def _check_runs(const int64_t[::1] run_flow, const int64_t[::1] first_task, list flow_tasks, int64_t ledger):
    import numpy
    flows, first = numpy.asarray(run_flow), numpy.asarray(first_task)
    if len(flows) and not 0 <= flows.min() <= flows.max() < len(flow_tasks):
        raise ValueError("run_flow names flows that are none")
    if first[0] != 0 or first[len(first) - 1] > ledger or (numpy.diff(first) != numpy.array(flow_tasks)[flows]).any():
        raise ValueError("first_task is not the running sum of the runs' tasks, or ledger not of this shape")


cdef class Account:
    """One process's view of the books.

    Args:
        region: its part of the arena.
        header: int64[>= 17], HeaderWord.
        runs: int64[runs, 8], RunWord.
        run_flow: int64[runs], the flow that each run is of.
        first_task: int64[runs + 1], where each run's tasks begin in the ledger; the last is where they end.
        ledger: uint8[tasks].
        step_tasks, step_offsets: int64[steps] of all shapes one after another; offsets are among the tasks of a run.
        flow_steps: int64[flows, 2], each flow's first step among these, and how many it has.
        started, done: int64[processes, flows].
        steps_created: int64[flows].
        me: this process's row of started and done.
        first_run_id: 16 bytes, the id of run 0.
        flow_slugs, step_slugs: names by index.
        caused: int64[tasks], to be filled with when each task's completion was sent; None where nobody wants it.
        failing: (uint64[steps], int64[runs], seed) of scenario.failing; None where nothing fails by design.
    Raises:
        ValueError: shapes that do not fit one another.
    """

    def __cinit__(self, Region region not None, int64_t[::1] header not None, int64_t[:, ::1] runs not None,
                  int64_t[::1] run_flow not None, int64_t[::1] first_task not None, uint8_t[::1] ledger not None,
                  int64_t[::1] step_tasks not None, int64_t[::1] step_offsets not None,
                  int64_t[:, ::1] flow_steps not None, int64_t[:, ::1] started not None, int64_t[:, ::1] done not None,
                  int64_t[::1] steps_created not None, int64_t me, bytes first_run_id not None,
                  SlugTable flow_slugs not None, SlugTable step_slugs not None, int64_t[::1] caused=None,
                  tuple failing=None):
        cdef int64_t i, step, tasks, flows = len(flow_slugs), count = runs.shape[0]
        cdef uint64_t[::1] fail_below
        cdef int64_t[::1] doomed
        if runs.shape[1] != R_COUNT or len(run_flow) != count or len(first_task) != count + 1:
            raise ValueError("runs, run_flow or first_task are not of this shape")
        if len(step_tasks) != len(step_slugs) or len(step_offsets) != len(step_tasks):
            raise ValueError("as many steps as step slugs")
        if flow_steps.shape[0] != flows or flow_steps.shape[1] != 2:
            raise ValueError("flow_steps is not of this shape")
        flow_tasks = []
        for i in range(flows):
            tasks = 0
            if flow_steps[i, 0] < 0 or flow_steps[i, 1] < 1 or flow_steps[i, 0] + flow_steps[i, 1] > len(step_tasks):
                raise ValueError("flow_steps names steps that are none")
            if i and flow_steps[i, 0] == flow_steps[i - 1, 0]:
                flow_tasks.append(flow_tasks[i - 1])
                continue
            for step in range(flow_steps[i, 0], flow_steps[i, 0] + flow_steps[i, 1]):
                if step_offsets[step] != tasks or step_tasks[step] < 0:
                    raise ValueError("step_offsets are not the running sum of step_tasks")
                tasks += step_tasks[step]
            flow_tasks.append(tasks)
        _check_runs(run_flow, first_task, flow_tasks, len(ledger))
        if len(steps_created) != len(flow_slugs) or started.shape[1] != len(flow_slugs):
            raise ValueError("as many flows as flow slugs")
        if done.shape[0] != started.shape[0] or done.shape[1] != started.shape[1]:
            raise ValueError("started and done are of one shape")
        if not 0 <= me < started.shape[0] or len(first_run_id) != 16 or len(header) <= H_IN_FLIGHT:
            raise ValueError("me, first_run_id or header")
        if caused is not None and len(caused) not in (0, len(ledger)):
            raise ValueError("caused is not of this shape")
        self._owners = (header, runs, run_flow, first_task, ledger, step_tasks, step_offsets, flow_steps, started, done,
                        steps_created, caused, failing)
        self.books.caused = &caused[0] if caused is not None and len(caused) else NULL
        self.region = region
        self.flow_slugs = flow_slugs
        self.step_slugs = step_slugs
        self.books.recorder = &region.recorder
        self.books.header = &header[0]
        self.books.runs = &runs[0, 0]
        self.books.run_count = runs.shape[0]
        self.books.ledger = &ledger[0]
        self.books.run_flow = &run_flow[0]
        self.books.first_task = &first_task[0]
        self.books.flow_steps = &flow_steps[0, 0]
        self.books.fail_below = NULL
        if failing is not None:
            fail_below, doomed, self.books.seed = failing
            if len(fail_below) != len(step_tasks) or len(doomed) != count:
                raise ValueError("failing is not of this shape")
            self.books.fail_below = &fail_below[0]
            self.books.doomed = &doomed[0]
        self.books.step_offsets = &step_offsets[0]
        self.books.step_tasks = &step_tasks[0]
        self.books.started = &started[0, 0]
        self.books.done = &done[0, 0]
        self.books.steps_created = &steps_created[0]
        self.books.processes = started.shape[0]
        self.books.flows = started.shape[1]
        self.books.me = me
        memcpy(self.books.run_id, <const char *>first_run_id, 16)
        self.books.flow_slugs = &flow_slugs.slugs
        self.books.step_slugs = &step_slugs.slugs

    def run_index(self, bytes run_id not None):
        """Index of a run id of this repetition, or -1."""
        return run_index_of(&self.books, run_id) if len(run_id) == 16 else -1

    def run_id(self, int64_t run_index):
        """The id of a run, 16 bytes."""
        cdef uint8_t out[16]
        put_run_id(&self.books, run_index, out)
        return (<char *>out)[:16]

    def flow_of(self, int64_t run):
        """The flow that a run is of."""
        if not 0 <= run < self.books.run_count:
            raise ValueError(f"no run {run}")
        return self.books.run_flow[run]

    def left(self, int64_t flow):
        """Tasks of started runs of a flow that nobody has completed."""
        if not 0 <= flow < self.books.flows:
            raise ValueError(f"no flow {flow}")
        return tasks_left(&self.books, flow)

    def settle(self, int64_t run, int64_t step, int64_t task, bint adopted):
        """Book a task that a dead worker left: completed for it now (adopted), or found completed already.

        Returns:
            Whether it was not booked before.
        Raises:
            ValueError: no such task.
        """
        cdef int64_t place, flow, stamp = now_ns()
        if not 0 <= step < self.books.step_slugs.count or not 0 <= run < self.books.run_count:
            raise ValueError(f"no task {run} {step} {task}")
        place = ledger_place(&self.books, run, step, task)
        if place < 0:
            raise ValueError(f"no task {run} {step} {task}")
        flow = self.books.run_flow[run]
        if not adopted and self.books.ledger[place] & L_COMPLETED:
            return False  # known already: found completed, not completed again
        if not book_completion(&self.books, run, flow, place, stamp, L_COMPLETED | L_SETTLED):
            return False
        record_row(self.books.recorder, stamp, stamp, -1, <int32_t>run, <int32_t>step, <int32_t>task, -1, OP_TASK,
                   ST_ADOPTED if adopted else ST_SETTLED, 1, <int32_t>flow)
        return True

    def take_back(self, int64_t run, int64_t step, int64_t task, int64_t acknowledged_ns):
        """Book that a task which this process had completed is not: the server acknowledged it, and lost it in a crash.

        Returns:
            Whether it was booked as completed.
        Raises:
            ValueError: no such task.
        """
        cdef int64_t place, before, flow
        cdef int64_t *words = self.books.recorder.words
        cdef int64_t *mine
        cdef uint8_t kept = <uint8_t>(255 & ~(L_CLAIMED | L_COMPLETED | L_SETTLED))
        if not 0 <= step < self.books.step_slugs.count or not 0 <= run < self.books.run_count:
            raise ValueError(f"no task {run} {step} {task}")
        place = ledger_place(&self.books, run, step, task)
        if place < 0:
            raise ValueError(f"no task {run} {step} {task}")
        if not and_shared(&self.books.ledger[place], kept) & L_COMPLETED:
            return False
        flow = self.books.run_flow[run]
        mine = &self.books.done[self.books.me * self.books.flows + flow]
        before = add_shared(&self.books.runs[run * R_COUNT + R_COMPLETED], -1)
        if before == tasks_of(&self.books, run):
            add_shared(&self.books.header[H_IN_FLIGHT], 1)
        if before < WRITTEN_OFF:
            publish(mine, mine[0] - 1)
        publish(&words[W_TASKS_COMPLETED], words[W_TASKS_COMPLETED] - 1)
        record_row(self.books.recorder, acknowledged_ns, now_ns(), -1, <int32_t>run, <int32_t>step, <int32_t>task, -1,
                   OP_TASK, ST_LOST, 1, <int32_t>flow)
        return True

    def fails(self, int64_t place):
        """Whether the next attempt of the task at a place of the ledger fails by design."""
        cdef int64_t run, low = 0, high = self.books.run_count
        if not 0 <= place < self.books.first_task[high]:
            raise ValueError(f"no place {place}")
        while high - low > 1:
            run = (low + high) // 2
            if self.books.first_task[run] <= place:
                low = run
            else:
                high = run
        return fails(&self.books, low, self._step_at(low, place), place)

    cdef int32_t _step_at(self, int64_t run, int64_t place) noexcept:
        cdef const int64_t *steps = &self.books.flow_steps[2 * self.books.run_flow[run]]
        cdef int64_t step = steps[0]
        while place - self.books.first_task[run] >= self.books.step_offsets[step] + self.books.step_tasks[step]:
            step += 1
        return <int32_t>step

    def fail_run(self, int64_t run):
        """Book that a run failed for good."""
        if not 0 <= run < self.books.run_count:
            raise ValueError(f"no run {run}")
        book_failed_run(&self.books, run, self.books.run_flow[run], now_ns())

    def settle_start(self, int64_t run):
        """Book a run that a dead worker's start_flow was found to have started; whether it was not booked before."""
        cdef int64_t *mine
        cdef int64_t flow
        if not 0 <= run < self.books.run_count:
            raise ValueError(f"no run {run}")
        flow = self.books.run_flow[run]
        if self.books.runs[run * R_COUNT + R_STARTED_NS]:
            return False
        mine = &self.books.started[self.books.me * self.books.flows + flow]
        if not self.books.runs[run * R_COUNT + R_SENT_NS]:
            self.books.runs[run * R_COUNT + R_SENT_NS] = now_ns()
        publish(&self.books.runs[run * R_COUNT + R_STARTED_NS], now_ns())
        publish(mine, mine[0] + tasks_of(&self.books, run))
        return True
