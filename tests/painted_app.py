"""`python app.py` with the stand-in for the core, for tests of all that lies around it: such a process does
without torch, whose import costs more than the rest of the studio's start.

It takes app.py's arguments.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE / "jobs")]

from painter import Painter  # noqa: E402

from webbduck_gradio.cli import main  # noqa: E402
from webbduck_gradio.jobs.worker import Worker  # noqa: E402

STEP_SECONDS = 0.05


def with_painter(self: Worker, *arguments: Any, init: Any = Worker.__init__) -> None:
    init(self, *arguments)
    self.context.make_generator = lambda: Painter(lambda *_: time.sleep(STEP_SECONDS))


if __name__ == "__main__":
    Worker.__init__ = with_painter
    sys.exit(main())
