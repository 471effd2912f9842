"""`python -m webbduck_gradio`: the studio, as `webbduck` starts it."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
