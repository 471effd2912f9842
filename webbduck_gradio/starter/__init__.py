"""How the bundled starter models are made: drawn pictures, captions, training, export, evaluation.

Nothing in the studio imports this package; it is run by hand with ``python -m webbduck_gradio.starter``.
"""
