"""The codes that C and Python share, as Python sees them, so that a test can hold both halves together."""


def codes():
    """{name: value} of every operation, status, word and size of layout.pxd."""
    return {
        "operations": {
            "create_flow": OP_CREATE_FLOW, "add_step": OP_ADD_STEP, "start_flow": OP_START_FLOW, "read": OP_READ,
            "start_tasks": OP_START_TASKS, "complete": OP_COMPLETE, "task": OP_TASK, "round_trip": OP_ROUND_TRIP,
            "deliver_run_started": OP_DELIVER + E_RUN_STARTED, "deliver_run_completed": OP_DELIVER + E_RUN_COMPLETED,
            "deliver_run_failed": OP_DELIVER + E_RUN_FAILED, "deliver_step_started": OP_DELIVER + E_STEP_STARTED,
            "deliver_step_completed": OP_DELIVER + E_STEP_COMPLETED,
            "deliver_step_failed": OP_DELIVER + E_STEP_FAILED, "deliver_step_skipped": OP_DELIVER + E_STEP_SKIPPED,
            "after_commit": OP_AFTER_COMMIT, "before_commit": OP_BEFORE_COMMIT,
            "start_service": OP_START_SERVICE, "lag_busy": OP_LAG_BUSY, "lag_late": OP_LAG_LATE, "fail": OP_FAIL,
        },
        "statuses": {
            "ok": ST_OK, "empty": ST_EMPTY, "retried": ST_RETRIED, "failed": ST_FAILED, "adopted": ST_ADOPTED,
            "settled": ST_SETTLED, "lost": ST_LOST,
        },
        "header": {
            "stop": H_STOP, "phase": H_PHASE, "starts_done": H_STARTS_DONE, "vt_seconds": H_VT_SECONDS,
            "marker": H_MARKER, "in_flight_limit": H_IN_FLIGHT_LIMIT, "starts_closed": H_STARTS_CLOSED,
            "late_skip_ns": H_LATE_SKIP_NS, "next_run": H_NEXT_RUN, "in_flight": H_IN_FLIGHT,
            "one_second_in": H_ONE_SECOND_IN,
        },
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
            "birth_ns": W_BIRTH_NS, "replaces": W_REPLACES, "warnings": W_WARNINGS, "received": W_RECEIVED,
            "received_foreign": W_RECEIVED_FOREIGN, "received_stray": W_RECEIVED_STRAY,
            "received_untimed": W_RECEIVED_UNTIMED, "first_received_ns": W_FIRST_RECEIVED_NS,
            "last_received_ns": W_LAST_RECEIVED_NS, "last_delivery_ns": W_LAST_DELIVERY_NS,
            "received_bytes": W_RECEIVED_BYTES, "redelivered": W_REDELIVERED, "commit_lsn": W_COMMIT_LSN,
            "commit_position": W_COMMIT_POSITION, "confirmed_lsn": W_CONFIRMED_LSN, "marker": W_MARKER,
            "reconnects": W_RECONNECTS, "gaps": W_GAPS, "samples": W_SAMPLES, "subscribe_ns": W_SUBSCRIBE_NS,
            "clock_offset_ns": W_CLOCK_OFFSET_NS, "clock_error_ns": W_CLOCK_ERROR_NS,
            "observer_cpu_ns": W_OBSERVER_CPU_NS, "strays_left_out": W_STRAYS_LEFT_OUT,
            "backend_socket": W_BACKEND_SOCKET, "runs_skipped": W_RUNS_SKIPPED,
            "waited_for_ns": W_WAITED_FOR_NS, "run_queue_ns": W_RUN_QUEUE_NS,
        },
        "run_words": {
            "intended_ns": R_INTENDED_NS, "sent_ns": R_SENT_NS, "started_ns": R_STARTED_NS,
            "last_done_ns": R_LAST_DONE_NS, "completed": R_COMPLETED, "claimed_ns": R_CLAIMED_NS, "skipped": R_SKIPPED,
            "failed_ns": R_FAILED_NS,
        },
        "ledger": {"claimed": L_CLAIMED, "completed": L_COMPLETED, "settled": L_SETTLED, "twice": L_TWICE,
                   "failed": L_FAILED},
        "event_kinds": {
            "run_started": E_RUN_STARTED, "run_completed": E_RUN_COMPLETED, "run_failed": E_RUN_FAILED,
            "step_started": E_STEP_STARTED, "step_completed": E_STEP_COMPLETED, "step_failed": E_STEP_FAILED,
            "step_skipped": E_STEP_SKIPPED,
        },
        "event_bits": {"count": EB_COUNT, "early": EB_EARLY},
        "stats": {"samples": HS_SAMPLES, "total_ns": HS_TOTAL_NS, "max_ns": HS_MAX_NS},
        "sizes": {
            "words": W_COUNT, "run_words": R_COUNT, "operations": OP_COUNT, "event_row": sizeof(EventRow),
            "error_slot": sizeof(ErrorSlot), "error_slots": ERROR_SLOTS, "stats": HS_STATS,
            "run_places": E_RUN_PLACES, "step_places": E_STEP_PLACES, "stray": sizeof(Stray),
            "most_strays": MOST_STRAYS, "written_off": WRITTEN_OFF,
        },
    }
