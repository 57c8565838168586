"""The page of a report: one file that needs nothing else, and no network."""
