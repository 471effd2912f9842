"""Image metadata: reading that of any program, writing our own.

chunk            our own chunk, and `read`, the entry point for all formats
infotext         the `parameters` text introduced by AUTOMATIC1111
png_text, exif, stealth_alpha    extract text from image files
other_tools      settings of other programs
recall           settings of any image, ready for the form
reproducibility  whether one of our images can be reproduced exactly
"""

from .chunk import (
    CHUNK,
    PARAMETERS,
    UPSCALED,
    PictureMetadata,
    TextMetadata,
    batch_request,
    build_chunk,
    chunk_of_stage,
    parameters_of,
    parse_texts,
    png_info,
    read,
    save_picture,
    save_upscaled,
    source_of,
)

__all__ = [
    "CHUNK",
    "PARAMETERS",
    "UPSCALED",
    "PictureMetadata",
    "TextMetadata",
    "batch_request",
    "build_chunk",
    "chunk_of_stage",
    "parameters_of",
    "parse_texts",
    "png_info",
    "read",
    "save_picture",
    "save_upscaled",
    "source_of",
]
