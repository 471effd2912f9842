"""The page and the API: Gradio lives here (and in app.py), and nowhere else."""
