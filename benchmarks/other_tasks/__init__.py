"""Labels by themselves, and values: what early exits save on tasks that are no classification."""
