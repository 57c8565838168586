"""Experiments on real models and data; none of them is needed to use offramp."""
