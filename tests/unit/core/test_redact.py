from __future__ import annotations

import pytest

from pgflow_stress.core.redact import redact


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://u:hunter2@h:1/x",
        "cannot reach postgres://u:hunter2@127.0.0.1:1/x: refused",
        "postgresql://u:hun@ter2hunter2@h/x",
        "host=h password=hunter2 dbname=x",
        "host=h password = 'hunter2 \\' hunter2' dbname=x",
        "postgresql://h/x?password=hunter2&sslmode=disable",
        "PGPASSWORD=hunter2 was set",
        "sslpassword=hunter2",
        "password = 'hunter2 with space' host=h",
        "/tmp/postgresql:/u:hunter2@h:1/x: not writable",
        "HOST=h PASSWORD=hunter2",
    ],
)
def test_no_password_is_left(text: str) -> None:
    assert "hunter2" not in redact(text)
    assert "***" in redact(text)


@pytest.mark.parametrize("text", ["postgresql://u@h:5432/x", "an@example.org: no", "password authentication failed"])
def test_what_is_no_password_is_left_alone(text: str) -> None:
    assert redact(text) == text


def test_a_long_word_is_looked_through_once() -> None:
    word = "a" * 300_000  # of a square of it one would wait for hours

    assert redact(f"{word}://u:hunter2@h") == f"{word}://u:***@h"
    assert redact(word) == word
