"""Folders of models that belong to other programs, read where they lie and never written to."""
