"""Measurements of the spine: one command, one table, in one run. Never a test: no timing is asserted anywhere."""
