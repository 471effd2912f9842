"""Converts pickles that people own to safetensors, in a child process that can do nothing else.

`child` runs there: `guards` bound it, `container` checks the file before torch sees it, torch's weights-only
reader reads it, `contents` tells the weights from the rest, `writer` writes them. `process` starts and
watches it from the studio, `conversions` is the queue. What a converted file says of its source is in
`models/probe/converted.py`.
"""
