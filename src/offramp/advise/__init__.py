"""Whether early exits pay here: what a build would save, and what else there is."""
