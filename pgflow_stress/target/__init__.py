"""The database under test: the embedded server or a given one, prepared outside every timed window."""
