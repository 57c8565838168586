"""Looking at models and their exits: NumPy only, never torch."""
