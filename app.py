"""WebbDuck: `python app.py` opens the studio in the browser. `python app.py --help` lists the options."""

import sys

OLDEST_PYTHON = (3, 11)

if sys.version_info < OLDEST_PYTHON:
    sys.stderr.write("WebbDuck needs Python 3.11 or newer; this is %d.%d.\n" % sys.version_info[:2])  # noqa: UP031
    sys.exit(2)

from webbduck_gradio.cli import main  # noqa: E402  # after the check of the version

if __name__ == "__main__":
    sys.exit(main())
