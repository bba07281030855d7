"""The hot path: clock, recorder, and libpq driven without the GIL. Nothing here allocates inside a window."""
