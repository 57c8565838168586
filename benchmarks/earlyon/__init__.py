"""offramp beside earlyon: the same heads, thresholds and inputs, timed in one process."""
