"""Creates the bundled starter models: synthetic drawings, captions, training, export and evaluation.

Nothing else imports this package; it is run by hand with ``python -m webbduck_gradio.starter``.
"""
