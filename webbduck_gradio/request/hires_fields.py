"""The settings of the hires pass, which redraws the finished picture at a larger size."""

from __future__ import annotations

from .sampling_fields import SamplingFields


class HiresFields(SamplingFields):
    """Further fields of `GenerationRequest`, which follow those of `SamplingFields` in the API."""
