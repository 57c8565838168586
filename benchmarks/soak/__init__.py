"""Whether a server that runs for long grows."""
