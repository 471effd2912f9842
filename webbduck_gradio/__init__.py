"""WebbDuck: a local SDXL studio on Gradio and diffusers."""

__version__ = "0.1.0"
