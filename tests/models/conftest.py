"""Hypothesis without deadlines: no test here asserts a time."""

from hypothesis import settings

settings.register_profile("webbduck", deadline=None, database=None)
settings.load_profile("webbduck")
