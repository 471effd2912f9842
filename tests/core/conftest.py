"""The fixtures that these tests share with those of a graphics card."""

from core_fixtures import (  # noqa: F401
    ask,
    folders,
    generator,
    image,
    mask,
    paint,
    pipe,
    registry,
    starter,
)
