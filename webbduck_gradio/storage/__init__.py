"""File access shared by all layers above; independent of models, jobs and the gallery."""
