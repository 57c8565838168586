"""Running a model with early exits: one loop, one file per back end."""
