from typing import Any

from pgflow_stress_hot.events import EventBook
from pgflow_stress_hot.pgoutput import Stream

def follow_wal(connection: Any, stream: Stream, delay_ns: int = 0) -> int: ...
def follow_notify(
    connection: Any, book: EventBook, channel: bytes, marker: bytes, delay_ns: int = 0
) -> tuple[int, int]: ...
