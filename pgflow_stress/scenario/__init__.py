"""Scenarios: what is run, how much of it, and what must come of it. Pure: no connection is known here."""
