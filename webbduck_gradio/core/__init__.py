"""Torch lives here and only here. Importing this package itself loads none of it."""

import os

# Read by the libraries when they are imported: nothing is ever fetched, and what matters is raised.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
