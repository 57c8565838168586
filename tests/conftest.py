"""How all tests run."""

from hypothesis import settings

settings.register_profile("offramp", deadline=None)  # a busy machine is no defect
settings.load_profile("offramp")
