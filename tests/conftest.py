"""What holds for all tests: no example has to be done in a given time, since nobody knows what else the machine does."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("fretsaw", deadline=None)
settings.load_profile("fretsaw")
