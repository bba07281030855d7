"""The self-test: defects planted into pgflow, a small job run on each, and the check that caught it."""
