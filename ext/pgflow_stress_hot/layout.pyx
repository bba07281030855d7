"""The codes that C and Python share, as Python sees them, so that a test can hold both halves together."""


def codes():
    """{name: value} of every operation, status, word and size of layout.pxd."""
    return {
        "operations": {
            "create_flow": OP_CREATE_FLOW, "add_step": OP_ADD_STEP, "start_flow": OP_START_FLOW, "read": OP_READ,
            "start_tasks": OP_START_TASKS, "complete": OP_COMPLETE, "task": OP_TASK, "round_trip": OP_ROUND_TRIP,
        },
        "statuses": {
            "ok": ST_OK, "empty": ST_EMPTY, "retried": ST_RETRIED, "failed": ST_FAILED, "adopted": ST_ADOPTED,
            "settled": ST_SETTLED,
        },
        "header": {"stop": H_STOP, "phase": H_PHASE, "starts_done": H_STARTS_DONE, "vt_seconds": H_VT_SECONDS},
        "stop": {"run": STOP_RUN, "drain": STOP_DRAIN, "now": STOP_NOW},
        "words": {
            "state": W_STATE, "pid": W_PID, "backend_pid": W_BACKEND_PID, "rows": W_ROWS,
            "rows_left_out": W_ROWS_LEFT_OUT, "claimed": W_CLAIMED, "polls": W_POLLS, "empty_polls": W_EMPTY_POLLS,
            "messages_read": W_MESSAGES_READ, "tasks_claimed": W_TASKS_CLAIMED,
            "tasks_completed": W_TASKS_COMPLETED, "statements": W_STATEMENTS, "errors_retried": W_ERRORS_RETRIED,
            "errors_failed": W_ERRORS_FAILED, "cpu_from_ns": W_CPU_FROM_NS, "cpu_to_ns": W_CPU_TO_NS,
            "create_from_ns": W_CREATE_FROM_NS, "create_to_ns": W_CREATE_TO_NS, "start_from_ns": W_START_FROM_NS,
            "start_to_ns": W_START_TO_NS, "process_from_ns": W_PROCESS_FROM_NS, "process_to_ns": W_PROCESS_TO_NS,
            "steps_created": W_STEPS_CREATED, "flows_created": W_FLOWS_CREATED, "runs_started": W_RUNS_STARTED,
            "cycles": W_CYCLES, "residence_ns": W_RESIDENCE_NS, "idle_ns": W_IDLE_NS,
            "completed_twice": W_COMPLETED_TWICE, "not_ours": W_NOT_OURS, "unclaimed": W_UNCLAIMED,
            "longest_cycle_ns": W_LONGEST_CYCLE_NS, "rss_peak_bytes": W_RSS_PEAK_BYTES,
            "primed_task_ns": W_PRIMED_TASK_NS, "first_idle_ns": W_FIRST_IDLE_NS, "notices": W_NOTICES,
            "birth_ns": W_BIRTH_NS, "replaces": W_REPLACES,
        },
        "run_words": {
            "intended_ns": R_INTENDED_NS, "sent_ns": R_SENT_NS, "started_ns": R_STARTED_NS,
            "last_done_ns": R_LAST_DONE_NS, "completed": R_COMPLETED,
        },
        "ledger": {"claimed": L_CLAIMED, "completed": L_COMPLETED, "settled": L_SETTLED},
        "stats": {"samples": HS_SAMPLES, "total_ns": HS_TOTAL_NS, "max_ns": HS_MAX_NS},
        "sizes": {
            "words": W_COUNT, "run_words": R_COUNT, "operations": OP_COUNT, "event_row": sizeof(EventRow),
            "error_slot": sizeof(ErrorSlot), "error_slots": ERROR_SLOTS, "stats": HS_STATS,
        },
    }
