"""Which signals end a run early."""

from __future__ import annotations

import signal

from pgflow_stress.core.ending_signals import answered


def test_a_hang_up_is_answered_unless_it_was_ignored_from_the_start() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        assert signal.SIGHUP in answered()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        assert answered() == (signal.SIGINT, signal.SIGTERM)
    finally:
        signal.signal(signal.SIGHUP, before)
