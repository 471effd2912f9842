"""Requests and what is installed: built from what was asked, and refused here before they are queued."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ModelError, RequestError, WebbDuckError
from ..request import SIDE_STEP, GenerationRequest, LoraSelection, applicability
from ..request.applicability import second_pass
from ..request.hires_fields import LANCZOS, LATENT_UPSCALERS
from ..request.samplers import fewest_steps, sampler_named, schedule_record, steps_taken
from . import detail_admission, lora_warnings
from .catalog import unreadable
from .catalog.lookup import find
from .catalog.registry import Checkpoint, Lora, Registry
from .dynamic_prompts import is_dynamic
from .input_checks import InputImages, check_inputs
from .lora_compatibility import unmatched_modules
from .probe.lora import NAMES
from .prompt_resolver import ResolvedPrompt, resolve_prompt, varies
from .recorded_embeddings import with_catalog_names
from .sizes import seam_warnings
from .styles import recorded
from .tokens import CHUNK, chunks, common_length
from .unet_kinds import unet_warnings
from .upscalers import Upscaler
from .vaes import missing_vae


def build_request(catalog: Registry, asked: Mapping[str, Any]) -> GenerationRequest:
    """The request with the checkpoint's defaults where nothing was asked (None or absent), and with the
    catalog's own names of models, however they were written.

    Raises `NotFoundError` for a checkpoint that is not there, `ModelError` for one that cannot be used or
    where there is none at all, and `RequestError` for values that no request can hold. Whether the settings
    go together with the models is asked of `validate_request`.
    """
    fields = dict(asked)
    if fields.get("base_model") is None:
        default = catalog.default_checkpoint()
        if default is None:
            raise ModelError(f"There is no usable checkpoint{catalog.alternatives()}.")
        fields["base_model"] = default.name
    for key in ("base_model", "second_pass_model", "hires_model"):
        if isinstance(fields.get(key), str):
            fields[key] = catalog.checkpoint_called(fields[key]).name
    if isinstance(fields.get("loras"), list | tuple):
        fields["loras"] = [_with_catalog_name(catalog, use) for use in fields["loras"]]
    if isinstance(fields.get("details"), list | tuple):
        fields["details"] = [detail_admission.with_catalog_name(catalog, each) for each in fields["details"]]
    if isinstance(fields.get("embeddings"), list | tuple):
        fields["embeddings"] = with_catalog_names(catalog, fields["embeddings"])
    if isinstance(fields.get("styles"), list | tuple):
        fields["styles"] = [recorded(catalog.styles, each) for each in fields["styles"]]
    if isinstance(fields["base_model"], str):
        fields = catalog.usable_checkpoint(fields["base_model"]).defaults.filled_in(fields)
    is_strength_open = fields.get("hires_strength") is None
    if is_strength_open:
        fields.pop("hires_strength", None)
    if isinstance(fields.get("vae"), str) and (vae := find(fields["vae"], catalog.vaes()).model):
        fields["vae"] = vae.name
    request = GenerationRequest.validated(**fields)
    if request.has_hires and is_strength_open:
        strength = hires_checkpoint(catalog, request).defaults.hires_strength
        request = request.model_copy(update={"hires_strength": strength})
    if request.has_hires and request.hires_upscaler is None:
        # Recorded, so that the picture can be made again after another model was installed.
        model = catalog.upscaler(None)
        request = request.model_copy(update={"hires_upscaler": model.name if model else LANCZOS})
    return request


def _with_catalog_name(catalog: Registry, use: Any) -> Any:
    """A LoRA of the stack with the catalog's name for it. `validate_request` refuses unknown ones."""
    if isinstance(use, LoraSelection):
        use = use.model_dump()
    name = use.get("name") if isinstance(use, dict) else None
    if not isinstance(name, str) or catalog.has_lora(name):
        return use
    found = find(name, catalog.loras())
    return {**use, "name": found.model.name} if found.model else use


def second_pass_checkpoint(catalog: Registry, request: GenerationRequest) -> Checkpoint | None:
    """The checkpoint of the request's second pass, if it has one. Raises `NotFoundError`, `ModelError`."""
    if not request.second_pass_model:
        return None
    checkpoint = catalog.usable_checkpoint(request.second_pass_model)
    if checkpoint.arch == "sdxl-inpaint":
        raise ModelError(f"{checkpoint.name} is made for inpainting; it cannot be the second pass.")
    return checkpoint


def hires_checkpoint(catalog: Registry, request: GenerationRequest) -> Checkpoint:
    """The checkpoint of the request's hires pass. Raises `NotFoundError`, `ModelError`."""
    checkpoint = catalog.usable_checkpoint(request.hires_model or request.base_model)
    if checkpoint.arch == "sdxl-inpaint":
        raise ModelError(f"{checkpoint.name} is made for inpainting; it cannot draw the hires pass.")
    if checkpoint.arch == "sdxl-refiner":
        raise ModelError(f"{checkpoint.name} is a refiner; choose a checkpoint for the hires pass.")
    return checkpoint


def hires_upscaler(catalog: Registry | None, request: GenerationRequest) -> str | Upscaler | None:
    """What enlarges the picture for the hires pass: the name of an upscaler of latents, or a model; None =
    Lanczos, or no hires pass. Raises `NotFoundError`, `ModelError`."""
    name = request.hires_upscaler
    if not request.has_hires or name == LANCZOS:
        return None
    if name in LATENT_UPSCALERS:
        return name
    if catalog is not None:
        return catalog.upscaler(name)
    if name is not None:
        raise ModelError("This generator has no catalog; give it one to use upscaling models.")
    return None


def validate_request(catalog: Registry, request: GenerationRequest, inputs: InputImages) -> list[str]:
    """Warnings about what will differ from what was asked. `inputs` holds the request's input pictures.

    Raises `RequestError`, `NotFoundError` or `ModelError` with one sentence for what cannot be drawn.
    """
    checkpoint = catalog.usable_checkpoint(request.base_model)
    _check_base(checkpoint, request)
    second = second_pass_checkpoint(catalog, request)
    hires = hires_checkpoint(catalog, request) if request.has_hires else None
    drawing = [each for each in (checkpoint, second, hires) if each is not None]
    if catalog.vae(request.vae) is None:
        for each in drawing:
            if not each.has_vae:
                raise missing_vae(each.name, catalog.vaes())
    # Wildcards and variants may give each image another prompt, with other LoRAs.
    images = range(request.num_images if varies(request) else 1)
    wordings = [resolve_prompt(catalog, request, index) for index in images]
    loras = list(dict.fromkeys(lora for each in wordings for lora, _ in each.loras))
    for lora in loras:
        _check_lora(lora, checkpoint)
    warnings = [note for each in wordings for note in each.notes]
    warnings += [*checkpoint.notes, *check_inputs(inputs, request)]
    warnings += [f"The LoRA {lora.name} {caveat}." for lora in loras for caveat in lora.caveats]
    steps = request.first_pass_steps.drawn
    warnings += [note for each in wordings for note in lora_warnings.without_effect(each.uses, steps)]
    warnings += unet_warnings(request, drawing)
    if second is not None:
        _check_second_pass(request, checkpoint, second)
        for lora in loras:
            if lora.is_compatible_with(second):
                _check_parts(lora, second)
        warnings += second.notes
        warnings += [note for each in wordings for note in _lost_on(second, each, "second")]
    for index in images:
        if request.has_hires:
            warnings += _hires_warnings(catalog, request, index)
        for region, words in detail_admission.checked(catalog, request, index):
            _check_sampler(region, checkpoint, region.steps)
            for lora, _ in words.loras:
                _check_lora(lora, checkpoint)
            warnings += (*words.notes, *_diluted(words, checkpoint))
    warnings += [note for each in wordings for note in _diluted(each, checkpoint)]
    joined = any(each.schedule.weights != (1.0,) for each in wordings)
    lost = _without_effect(request, second, is_joined=joined)
    return list(dict.fromkeys(warnings + _other_steps(request) + lost))


def is_refiner_handoff(request: GenerationRequest, second: Checkpoint) -> bool:
    """Whether the second model takes over unfinished latents, instead of refining the finished picture."""
    return second_pass(request.model_dump(), second.arch) == "refiner"


def obstacle(catalog: Registry, request: GenerationRequest) -> str | None:
    """Why a request has to wait for a folder of its models, in one sentence; None where it need not.

    A model that alone is gone or forbidden is no such reason: its job fails with what is wrong. Never raises.
    """
    if catalog.unread.unread and not catalog.has_checkpoint(request.base_model):
        catalog.refresh(patient=True)  # it may be back since the last look
    try:
        models = [catalog.checkpoint(request.base_model)]
        for name in (request.second_pass_model, request.has_hires and request.hires_model):
            if name:
                models.append(catalog.checkpoint(name))
        paths = [model.path for model in models]
        if vae := catalog.vae(request.vae):
            paths.append(vae.path)
        for index in range(request.num_images if varies(request) else 1):
            wording = resolve_prompt(catalog, request, index)
            paths += [lora.path for lora, _ in wording.loras] + [each.path for each in wording.embeddings]
    except WebbDuckError:
        return None
    for path in paths:
        if (reason := unreadable.away(path, catalog.unread)) is not None:
            folder = unreadable.called(path.parent, catalog.settings, catalog.foreign_folders())
            return f"{folder} {reason}; the queue resumes automatically when it is available again."
    return None


def _check_base(checkpoint: Checkpoint, request: GenerationRequest) -> None:
    if checkpoint.arch == "sdxl-refiner":
        raise ModelError(
            f"{checkpoint.name} is a refiner, which only continues another checkpoint's picture; "
            "choose it as the second pass."
        )
    if checkpoint.arch == "sdxl-inpaint" and not (request.mask or request.outpaint):
        raise ModelError(
            f"{checkpoint.name} is made for inpainting only; give it a picture and a mask, "
            "outpaint a picture, or choose another checkpoint."
        )
    _check_sampler(request, checkpoint, request.steps)
    _check_clip_skip(request, checkpoint)


def _check_clip_skip(request: GenerationRequest, checkpoint: Checkpoint) -> None:
    if request.clip_skip > checkpoint.clip_layers - 2:
        raise RequestError(
            f"clip_skip {request.clip_skip} leaves nothing of {checkpoint.name}'s text encoders, which have "
            f"{checkpoint.clip_layers} layers; lower it."
        )


def _check_sampler(request: GenerationRequest, checkpoint: Checkpoint, steps: int) -> None:
    sampler = sampler_named(request.sampler)
    schedule = schedule_record(sampler, request.schedule)
    if checkpoint.zero_snr and not schedule.has_zero_snr:
        raise RequestError(
            f"The schedule {schedule.name} does not suit {checkpoint.name}, which was trained to start from "
            "pure noise; choose another, such as Karras."
        )
    fewest = fewest_steps(sampler, request.schedule)
    if steps < fewest:
        raise RequestError(
            f"{request.scheduler} needs at least {fewest} steps, not {steps}; take more, or choose another "
            "schedule."
        )


def _check_lora(lora: Lora, checkpoint: Checkpoint) -> None:
    if not lora.is_compatible_with(checkpoint):
        made_for = NAMES.get(lora.arch, "another architecture")
        if lora.arch == checkpoint.arch:
            made_for = f"{made_for} of another size"
        raise ModelError(f"The LoRA {lora.name} is made for {made_for}; {checkpoint.name} cannot use it.")
    _check_parts(lora, checkpoint)


def _check_parts(lora: Lora, checkpoint: Checkpoint) -> None:
    missing, parts = unmatched_modules(lora.path, checkpoint.path)
    if missing:
        raise ModelError(
            f"The LoRA {lora.name} does not fit {checkpoint.name}: {len(missing)} of its {parts} parts have "
            f"no counterpart of their size in it ({missing[0][:100]}); choose one that was made for it."
        )


def _check_second_pass(request: GenerationRequest, first: Checkpoint, second: Checkpoint) -> None:
    _check_clip_skip(request, second)
    if is_refiner_handoff(request, second):
        if request.image:
            raise RequestError(
                "A refiner continues only pictures made from words; choose img2img as the second pass's mode."
            )
        sampler = sampler_named(request.sampler)
        if not sampler.can_be_split:
            raise RequestError(
                f"{sampler.name} places its steps itself, so no refiner can take over; choose another "
                "sampler, "
                "or img2img as the second pass's mode."
            )
        if first.zero_snr != second.zero_snr:
            raise RequestError(
                f"{second.name} was trained on another noise schedule than {first.name}; "
                "choose img2img as the second pass's mode."
            )
        kept = int(request.steps * request.refiner_switch)
        if not 1 <= kept < request.steps:
            raise RequestError(
                f"{request.steps} steps cannot be split at {request.refiner_switch:g}; take more steps."
            )
        return
    steps = request.img2img_pass_steps
    _check_sampler(request, second, steps.scheduled)
    if steps.drawn < 1:
        raise RequestError(
            f"{steps.scheduled} steps at refinement_strength {request.refinement_strength:g} leave no step "
            "for the second pass; raise one of them."
        )


def _diluted(wording: ResolvedPrompt, checkpoint: Checkpoint) -> list[str]:
    """Prompts too long to be repeated to one length are filled up with empty chunks."""
    if not wording.negative_prompt.strip():
        return []
    index = wording.index.fitting(checkpoint)
    for texts in wording.schedule.texts:
        second = len(chunks(texts.second, index))
        asked = [max(len(chunks(each, index)), second) for each in texts.prompts]
        lengths = [*asked, len(chunks(texts.negative, index))]
        length = common_length(*lengths)
        if any(length % each for each in lengths):
            return [
                f"The prompts take {' and '.join(map(str, lengths))} chunks of {CHUNK} tokens, too many to "
                "weigh them against each other exactly: the shorter one counts a little less. Chunks of "
                "equal number avoid that."
            ]
    return []


def _lost_on(checkpoint: Checkpoint, wording: ResolvedPrompt, which: str) -> list[str]:
    """`which`: "second" or "hires"."""
    lost = [lora.name for lora, weight in wording.loras if weight and not lora.is_compatible_with(checkpoint)]
    unread = [each.trigger for each in wording.embeddings if not each.fits(checkpoint)]
    said = []
    if lost:
        said = [f"{checkpoint.name} cannot use the LoRAs {', '.join(lost)}; the {which} pass goes without."]
    if unread:
        said.append(
            f"{checkpoint.name} cannot use the embeddings {', '.join(unread)}; the {which} pass reads their "
            "names as words."
        )
    return said


def _hires_warnings(catalog: Registry, request: GenerationRequest, index: int) -> list[str]:
    """Warnings about the hires pass of image `index`. Raises as `validate_request` does."""
    checkpoint = hires_checkpoint(catalog, request)
    hires_upscaler(catalog, request)
    own = request.for_hires_pass()
    _check_clip_skip(own, checkpoint)
    _check_sampler(own, checkpoint, own.steps)
    wording = resolve_prompt(catalog, own, index, request, "hires ")
    for lora, _ in wording.loras:
        if lora.is_compatible_with(checkpoint):
            _check_parts(lora, checkpoint)
    warnings = [
        *wording.notes,
        *checkpoint.notes,
        *_lost_on(checkpoint, wording, "hires"),
        *_diluted(wording, checkpoint),
    ]
    exact, drawn = request.hires_exact, request.hires_cover
    if exact != drawn:
        warnings.append(
            f"The hires pass draws {drawn[0]} x {drawn[1]} pixels instead of {exact[0]} x {exact[1]}: sides "
            f"are multiples of {SIDE_STEP}."
        )
    if sampler_named(own.sampler).is_adaptive:
        warnings.append(f"{own.sampler} decides on the number of steps itself.")
    return warnings


def _other_steps(request: GenerationRequest) -> list[str]:
    """A warning if the sampler or the schedule takes another number of steps than was asked for."""
    sampler = sampler_named(request.sampler)
    if sampler.is_adaptive:
        return [f"{sampler.name} decides on the number of steps itself."]
    taken = steps_taken(sampler, request.schedule, request.steps, request.discards_penultimate)
    if taken == request.steps:
        return []
    return [f"The schedule {request.schedule} takes {taken} steps instead of {request.steps}, as in A1111."]


def _without_effect(
    request: GenerationRequest, second: Checkpoint | None, is_joined: bool = False
) -> list[str]:
    """What was asked for beside its default, but plays no part in this request. `is_joined`: whether AND
    joins prompts, to which the negative prompt belongs at any CFG."""
    warnings = []
    if (request.mask or request.outpaint) and request.output_format != "png":
        warnings.append(
            f"A {request.output_format} file keeps no pixel exactly, so those that are not painted change "
            "a little as well; choose png to keep them."
        )
    drawn = {(request.width, request.height), request.largest_size}
    for width, height in sorted(drawn) if request.tiling != "none" else ():
        warnings += seam_warnings(width, height)
    if request.mimic_cfg is not None and 1 < request.cfg <= request.mimic_cfg:
        warnings.append("mimic_cfg has no effect when it is not below cfg.")
    if request.combination is not None and not is_dynamic(request.prompt):
        warnings.append("combination has no effect on a prompt without wildcards and variants.")
    fields = request.model_dump()
    way = second_pass(fields, second.arch if second else None)
    for name, when in applicability.without_effect(fields, way).items():
        if is_joined and name == "negative_prompt":
            continue
        if fields[name] != GenerationRequest.model_fields[name].default:
            warnings.append(f"{name} has no effect {when}.")
    return warnings
