"""What a picture says about itself: read from any program's files, written into ours.

chunk            our own chunk, and `read`, which takes a picture's texts from wherever they are
infotext         the `parameters` text that AUTOMATIC1111 began
png_text, exif, stealth_alpha    where the texts are in a file
other_tools      settings of other programs
recall           any picture's settings, ready for the form
reproducibility  whether a picture of ours can be made again as it was
"""

from .chunk import (
    CHUNK,
    PARAMETERS,
    UPSCALED,
    batch_request,
    build_chunk,
    parameters_of,
    parse_texts,
    png_info,
    read,
    save_picture,
    save_upscaled,
)

__all__ = [
    "CHUNK",
    "PARAMETERS",
    "UPSCALED",
    "batch_request",
    "build_chunk",
    "parameters_of",
    "parse_texts",
    "png_info",
    "read",
    "save_picture",
    "save_upscaled",
]
