"""Detectors, pictures with boxes, and how well the one goes with the other."""
