"""Stress tester for pgflow: drives it at its ceiling and accounts for every task."""

__version__ = "0.1.0"
