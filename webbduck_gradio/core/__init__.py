"""Inference. The only package that imports torch; importing `core` itself does not."""

import os

# The libraries read these on import: no downloads, and no log noise, since errors are raised anyway.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
