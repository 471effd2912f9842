"""Each sampler and each schedule once, for tests with the true model; test_sampling.py has the pairs."""

from webbduck_gradio.request.samplers import AUTOMATIC, SAMPLERS, joined_name, sampler_named

NOISY = sampler_named("DPM++ 2M SDE")
"""Takes every schedule, and noise between its levels, so that those of a schedule decide about the noise."""
EACH_SAMPLER = [
    *(joined_name(each.name, AUTOMATIC) for each in SAMPLERS),
    *(joined_name(NOISY.name, each) for each in NOISY.schedules if each != NOISY.automatic),
]
