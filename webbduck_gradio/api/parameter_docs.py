"""What the page "Use via API" tells of the parameters of each endpoint: words, and the range of numbers."""

from __future__ import annotations

import inspect

import gradio as gr
from gradio.components.api_component import Api

from ..request import MAX_LORAS, MAX_PROMPT, CaptionRequest, GenerationRequest, numeric_bounds

AN_IMAGE = (
    'The id of a picture of the gallery, for example "2026-05-01_12-30-00/0.png", or a file: PNG, JPEG '
    "or WebP, at most 64 MiB and 64 megapixels; of an animated one the first frame. No address is fetched."
)
JOB = "The id that /generate, /test, /upscale or /caption answered, or that /queue lists."
OF_CHECKPOINT = "None = the checkpoint's default."

PARAMETERS: dict[str, str] = {
    "prompt": f"What the picture should show; at most {MAX_PROMPT:,} characters, (word:1.2) weighs a word.",
    "negative_prompt": f"What it should not show; at most {MAX_PROMPT:,} characters.",
    "prompt_2": "Another prompt for the second text encoder; empty = the same for both.",
    "base_model": "Name of a checkpoint, see /models; None = the default one.",
    "width": f"Pixels. {OF_CHECKPOINT}",
    "height": f"Pixels. {OF_CHECKPOINT}",
    "steps": f"Denoising steps. {OF_CHECKPOINT}",
    "cfg": f"How closely the picture follows the prompt; 1 = no guidance. {OF_CHECKPOINT}",
    "scheduler": f"Name of a sampler, see /schedulers. {OF_CHECKPOINT} A name without a schedule is A1111's "
    "with Uniform; below 10 steps, and on distilled and zero-SNR checkpoints, it is SGM Uniform.",
    "seed": "None or -1 = random, 0 is a seed. Image i of a batch has seed + i.",
    "num_images": "Pictures of this job.",
    "loras": f'At most {MAX_LORAS} of {{"name": see /loras, "weight": -2 to 2}}; without a weight, 1.',
    "second_pass_model": "Name of a checkpoint that goes over the picture, see /second_pass_models.",
    "second_pass_mode": "refiner: goes on with unfinished latents; img2img: repaints; auto: by the model.",
    "refinement_strength": "How much an img2img second pass changes.",
    "image": AN_IMAGE,
    "mask": "White is the masked part; as large as the image; a file or an id as for image.",
    "strength": "How much of the image is painted anew: int(steps * strength) steps, one less than A1111.",
    "inpainting_fill": "replace: paint the masked part anew; keep: protect it and paint all else anew.",
    "masked_content": "What the painted part begins with. fill: colours around it; original: what is there.",
    "mask_blur": "Softness of the mask's edge, pixels.",
    "resize_mode": "How the image is fitted to width x height.",
    "inpaint_area": "masked: only the mask's surroundings are painted, at width x height.",
    "inpaint_padding": "Surroundings of the mask that are looked at, pixels.",
    "refiner_switch": "Part of the schedule after which a refiner goes on.",
    "second_pass_steps": "Steps of an img2img second pass; None = as many as the first.",
    "clip_skip": "Text encoder layers left out beyond the one that SDXL leaves out anyway.",
    "emphasis": "mean: weighted prompts are brought back to their mean; none: they are not.",
    "output_format": "png keeps every pixel; all carry the same metadata.",
    "wait_for_result": "False: answer at once with the job's id, without files.",
    "job_id": JOB,
    "after_image": "True: the running job first finishes the image that it is at.",
    "position": '1 = next, or "up", "down", "top", "bottom".',
    "scale": "2 or 4.",
    "upscaler": "A name of /upscalers; None = the first model, else Lanczos.",
    "style": "One of /caption_styles.",
    "captioner": "A name of /captioners; None = the first that can be used.",
    "max_tokens": "Longest answer.",
    "text": f"The prompt; at most {MAX_PROMPT:,} characters.",
    "which": "Which of the prompts it is.",
    "start": "Runs to leave out, from the first.",
    "limit": "Most runs to answer, 1 to 200.",
    "after": "Only runs made after this time, seconds since 1970.",
    "query": 'Words of the prompt, or filters as "model:NAME seed:7 is:favourite"; at most 400 characters.',
    "order": "newest, oldest, picture_size or file_size (the largest first), prompt or checkpoint (by the "
    "alphabet). A run stands where the first of its pictures would.",
    "image_id": 'For example "2026-05-01_12-30-00/0.png", as /generate and /gallery answer it.',
    "run": 'For example "2026-05-01_12-30-00".',
    "entry_id": "The id that /delete_image or /delete_run answered.",
}
"""By name; a parameter means the same in every endpoint."""


def describe(page: gr.Blocks) -> None:
    """Put the words into the endpoints of the Blocks that is being built."""
    for fn in page.fns.values():
        if fn.api_visibility != "public" or fn.fn is None:
            continue
        names = [name for name in inspect.signature(fn.fn).parameters if name != "request"]
        for name, component in zip(names, fn.inputs, strict=True):
            assert isinstance(component, Api)
            component.label = name
            component._api_info = {**component._api_info, "additional_description": told(name)}


def told(name: str) -> str:
    """A parameter in words, with its range where it is a number of a request."""
    text = PARAMETERS.get(name, "")
    field = GenerationRequest.model_fields.get(name) or CaptionRequest.model_fields.get(name)
    if field is None or field.annotation not in (int, float) or name == "seed":
        return text
    model = GenerationRequest if name in GenerationRequest.model_fields else CaptionRequest
    wanted = numeric_bounds(model, (name,))
    return f"{wanted[0].upper()}{wanted[1:]}. {text}"
