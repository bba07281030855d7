# Codes and word indexes that Python (core.operations, core.arena) and C share; a test holds the two together.
from libc.stdint cimport int16_t, int32_t, int64_t

cdef enum:  # OperationCode
    OP_CREATE_FLOW = 0
    OP_ADD_STEP = 1
    OP_START_FLOW = 2
    OP_READ = 3
    OP_START_TASKS = 4
    OP_COMPLETE = 5
    OP_TASK = 6
    OP_ROUND_TRIP = 7
    OP_DELIVER = 8  # the first of the kinds of events, in the order of EventKind
    OP_AFTER_COMMIT = 15
    OP_BEFORE_COMMIT = 16
    OP_START_SERVICE = 17
    OP_LAG_BUSY = 18
    OP_LAG_LATE = 19
    OP_FAIL = 20
    OP_COUNT = 21

cdef enum:  # StatusCode
    ST_OK = 0
    ST_EMPTY = 1
    ST_RETRIED = 2
    ST_FAILED = 3
    ST_ADOPTED = 4
    ST_SETTLED = 5
    ST_LOST = 6

# Words of the header, written by the coordinator alone.
cdef enum:  # HeaderWord
    H_STOP = 0
    H_PHASE = 1
    H_STARTS_DONE = 2
    H_VT_SECONDS = 3
    H_MARKER = 4
    H_IN_FLIGHT_LIMIT = 5
    H_STARTS_CLOSED = 6
    H_LATE_SKIP_NS = 7
    H_NEXT_RUN = 8  # this one and the next are counted in by all, on cache lines of their own
    H_IN_FLIGHT = 16
    H_ONE_SECOND_IN = 24

cdef enum:  # StopCode
    STOP_RUN = 0
    STOP_DRAIN = 1  # claimed tasks are completed, nothing more is polled or started
    STOP_NOW = 2  # nothing more is waited for

# Words of one process, written by that process alone.
cdef enum:  # ProcessWord
    W_STATE = 0
    W_PID = 1
    W_BACKEND_PID = 2
    W_ROWS = 3
    W_ROWS_LEFT_OUT = 4
    W_CLAIMED = 5
    W_POLLS = 6
    W_EMPTY_POLLS = 7
    W_MESSAGES_READ = 8
    W_TASKS_CLAIMED = 9
    W_TASKS_COMPLETED = 10
    W_STATEMENTS = 11
    W_ERRORS_RETRIED = 12
    W_ERRORS_FAILED = 13
    W_CPU_FROM_NS = 14
    W_CPU_TO_NS = 15
    W_CREATE_FROM_NS = 16
    W_CREATE_TO_NS = 17
    W_START_FROM_NS = 18
    W_START_TO_NS = 19
    W_PROCESS_FROM_NS = 20
    W_PROCESS_TO_NS = 21
    W_STEPS_CREATED = 22
    W_FLOWS_CREATED = 23
    W_RUNS_STARTED = 24
    W_CYCLES = 25
    W_RESIDENCE_NS = 26
    W_IDLE_NS = 27
    W_COMPLETED_TWICE = 28
    W_NOT_OURS = 29
    W_UNCLAIMED = 30
    W_LONGEST_CYCLE_NS = 31
    W_RSS_PEAK_BYTES = 32
    W_PRIMED_TASK_NS = 33
    W_FIRST_IDLE_NS = 34
    W_NOTICES = 35
    W_BIRTH_NS = 36
    W_REPLACES = 37
    W_WARNINGS = 38
    W_RECEIVED = 39
    W_RECEIVED_FOREIGN = 40
    W_RECEIVED_STRAY = 41
    W_RECEIVED_UNTIMED = 42
    W_FIRST_RECEIVED_NS = 43
    W_LAST_RECEIVED_NS = 44
    W_LAST_DELIVERY_NS = 45
    W_RECEIVED_BYTES = 46
    W_REDELIVERED = 47
    W_COMMIT_LSN = 48
    W_COMMIT_POSITION = 49
    W_CONFIRMED_LSN = 50
    W_MARKER = 51
    W_RECONNECTS = 52
    W_GAPS = 53
    W_SAMPLES = 54
    W_SUBSCRIBE_NS = 55
    W_CLOCK_OFFSET_NS = 56
    W_CLOCK_ERROR_NS = 57
    W_OBSERVER_CPU_NS = 58
    W_STRAYS_LEFT_OUT = 59
    W_BACKEND_SOCKET = 60
    W_RUNS_SKIPPED = 61
    W_WAITED_FOR_NS = 62
    W_RUN_QUEUE_NS = 63
    W_COUNT = 64

cdef enum:  # RunWord
    R_INTENDED_NS = 0
    R_SENT_NS = 1
    R_STARTED_NS = 2
    R_LAST_DONE_NS = 3
    R_COMPLETED = 4
    R_CLAIMED_NS = 5
    R_SKIPPED = 6
    R_FAILED_NS = 7
    R_COUNT = 8

cdef enum:
    WRITTEN_OFF = 1073741824  # in R_COMPLETED, above the count: the run failed

cdef enum:  # LedgerBit
    L_CLAIMED = 1
    L_COMPLETED = 2
    L_SETTLED = 4
    L_TWICE = 8
    L_FAILED = 16  # and above: how many attempts failed, 15 at most

cdef enum:  # EventKind, core.events
    E_RUN_STARTED = 0
    E_RUN_COMPLETED = 1
    E_RUN_FAILED = 2
    E_STEP_STARTED = 3
    E_STEP_COMPLETED = 4
    E_STEP_FAILED = 5
    E_STEP_SKIPPED = 6
    E_RUN_PLACES = 3  # of a run's own events; then four a step
    E_STEP_PLACES = 4

cdef enum:  # EventBit
    EB_COUNT = 15
    EB_EARLY = 128

cdef enum:  # HistogramStat
    HS_SAMPLES = 0  # statements; how many items they carried is the sum of the counts
    HS_TOTAL_NS = 1  # sum of latency * items
    HS_MAX_NS = 2
    HS_STATS = 4

cdef packed struct EventRow:  # one cache line; core.recording.EVENT_DTYPE
    int64_t intended_ns
    int64_t sent_ns
    int64_t done_ns
    int64_t msg_id
    int32_t run_index
    int32_t step_index
    int32_t task_index
    int32_t batch
    int16_t operation
    int16_t status
    int32_t items
    int32_t flow_index
    int32_t spare

cdef enum:
    ERROR_SLOTS = 16
    ERROR_TEXT = 224

cdef packed struct ErrorSlot:  # 256 bytes; core.arena.ERROR_DTYPE
    int64_t count
    int64_t first_ns
    int32_t operation
    int32_t retried
    char sqlstate[8]
    char text[224]

cdef enum:
    MOST_STRAYS = 256
    STRAY_TEXT = 240

cdef packed struct Stray:  # 256 bytes; core.arena.STRAY_DTYPE
    int64_t run_index
    int64_t count
    char event[240]
