"""The same server on many machines, with Ray Serve: `serve run offramp.serve.ray:app folder=stages`."""

from offramp.serve.ray.application import app
from offramp.serve.ray.arguments import Arguments

__all__ = ["Arguments", "app"]
