"""Conformance suites and fakes, for whoever writes an adapter or a gate."""
