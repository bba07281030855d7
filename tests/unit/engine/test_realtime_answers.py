"""What Supabase Realtime answers, by kind, and which of it fails a run."""

from __future__ import annotations

import pytest

from pgflow_stress.engine.realtime_answers import ANSWERS, kind_of, unallowed


@pytest.mark.parametrize(
    ("state", "reason", "kind"),
    [
        ("CHANNEL_ERROR", '{"reason": "ClientJoinRateLimitReached: Too many joins per second"}', "rate limit"),
        ("CHANNEL_ERROR", '{"message": "Too many messages per second", "status": "error"}', "rate limit"),
        ("CHANNEL_ERROR", '{"reason": "ChannelRateLimitReached: Too many channels"}', "rate limit"),
        ("CHANNEL_ERROR", '{"message": "MessageQueueOverflow: message dropped"}', "overflow"),
        ("CHANNEL_ERROR", '{"reason": "PayloadSizeExceeded"}', "overflow"),
        ("CHANNEL_ERROR", "no close frame received or sent", "CHANNEL_ERROR"),
        ("TIMED_OUT", "TIMED_OUT", "TIMED_OUT"),
        ("CLOSED", "CLOSED", "CLOSED"),
    ],
)
def test_an_answer_is_what_its_reason_says_else_its_state(state: str, reason: str, kind: str) -> None:
    assert kind_of(state, reason) == kind
    assert kind in ANSWERS


def test_any_answer_fails_a_run() -> None:
    answers = dict.fromkeys(ANSWERS, 1)

    assert unallowed(answers, allow_rate_limit=False) == answers


def test_an_allowed_limit_excuses_itself_and_what_it_closed_and_nothing_else() -> None:
    assert unallowed({"rate limit": 2, "CLOSED": 2, "overflow": 1}, allow_rate_limit=True) == {"overflow": 1}
    assert unallowed({"CLOSED": 2}, allow_rate_limit=True) == {"CLOSED": 2}
    assert unallowed({"TIMED_OUT": 1}, allow_rate_limit=True) == {"TIMED_OUT": 1}
