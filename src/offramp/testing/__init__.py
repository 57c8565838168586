"""Conformance suites and toy models, for our tests and for those of plug-ins."""
