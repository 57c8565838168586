"""Regimes that train the backbone, compared from scratch."""
