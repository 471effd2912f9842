"""The modes, one module each. A new mode needs a module, its name in `request.modes` and an entry in
`MODES`."""

from ...request.modes import Mode as ModeName
from .base import Mode
from .img2img import Img2Img
from .inpaint import Inpaint
from .outpaint import Outpaint
from .text2img import Text2Img

__all__ = ["MODES", "Mode"]

MODES: dict[ModeName, type[Mode]] = {
    "text2img": Text2Img,
    "img2img": Img2Img,
    "inpaint": Inpaint,
    "outpaint": Outpaint,
}
