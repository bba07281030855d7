"""Statistics, comparison, verdicts: pure functions on results and numpy arrays."""
