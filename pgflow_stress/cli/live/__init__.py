"""The live view: what a terminal shows while it is measured."""
