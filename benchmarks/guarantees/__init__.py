"""What the guarantees promise, and what they cost."""
