"""INT8 and exits, side by side."""
