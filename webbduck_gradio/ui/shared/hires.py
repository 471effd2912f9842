"""The hires pass of a picture that was finished before; Studio and Gallery submit it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...api.hires import with_hires_pass
from ...errors import RequestError
from ...jobs.job import Job
from ...request import SETTINGS
from ...services import Services
from .numbers import read


def submit_hires(
    services: Services, image_id: str, asked: Mapping[str, Any], owner: str | None
) -> tuple[Job, list[str]]:
    """The job, and notes. `asked`: values of the form's controls (shared/hires.js), of which
    any may be missing. Raises `WebbDuckError`."""
    wanted = {
        name: _value_of(name, asked[name])
        for name, setting in SETTINGS.items()
        if setting.group == "hires" and name in asked
    }
    wanted = {name: value for name, value in wanted.items() if value is not None}
    request, notes = with_hires_pass(services, image_id, wanted)
    return services.submit(request, "generate", owner), notes


def _value_of(name: str, value: Any) -> Any:
    if not SETTINGS[name].is_number:
        return value or None
    try:
        return read(value, whole=SETTINGS[name].is_whole)
    except ValueError as error:
        raise RequestError(f"{name} {error}.", field=name) from None
