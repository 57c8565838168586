"""Arithmetic on recorded outputs: replay, fronts, savings, certificates. NumPy only, never torch."""
