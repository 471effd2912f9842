"""ComfyUI's graphs: what had a part in the picture is taken over or named, and nothing else is."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from webbduck_gradio.gallery.metadata.other_tools import reader

Graph = dict[str, dict[str, Any]]


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


BASIC: Graph = {
    "ckpt": node("CheckpointLoaderSimple", ckpt_name="lake.safetensors"),
    "pos": node("CLIPTextEncode", text="a red duck", clip=["ckpt", 1]),
    "neg": node("CLIPTextEncode", text="fog", clip=["ckpt", 1]),
    "size": node("EmptyLatentImage", width=832, height=1216, batch_size=1),
    "draw": node(
        "KSampler",
        seed=5,
        steps=20,
        cfg=6.5,
        sampler_name="euler",
        scheduler="normal",
        denoise=1.0,
        model=["ckpt", 0],
        positive=["pos", 0],
        negative=["neg", 0],
        latent_image=["size", 0],
    ),
    "decode": node("VAEDecode", samples=["draw", 0], vae=["ckpt", 2]),
    "save": node("SaveImage", images=["decode", 0], filename_prefix="x"),
}
TOLD = {
    "prompt": "a red duck",
    "negative_prompt": "fog",
    "steps": 20,
    "cfg": 6.5,
    "seed": 5,
    "width": 832,
    "height": 1216,
    "sampler": "euler",
    "schedule": "normal",
    "base_model": "lake",
}
ADVANCED = node(
    "KSamplerAdvanced",
    add_noise="enable",
    noise_seed=5,
    steps=20,
    cfg=6.5,
    sampler_name="euler",
    scheduler="normal",
    start_at_step=0,
    end_at_step=10000,
    return_with_leftover_noise="disable",
    model=["ckpt", 0],
    positive=["pos", 0],
    negative=["neg", 0],
    latent_image=["size", 0],
)


def changed(more: Graph | None = None, **inputs: dict[str, Any]) -> Graph:
    """The basic graph with more nodes, and other inputs for some."""
    graph = copy.deepcopy(BASIC) | copy.deepcopy(more or {})
    for name, values in inputs.items():
        graph[name]["inputs"] |= values
    return graph


def read(
    graph: Graph, workflow: dict | None = None, size: tuple[int, int] | None = None
) -> reader.ForeignSettings:
    texts = {"prompt": json.dumps(graph)} | ({"workflow": json.dumps(workflow)} if workflow else {})
    return reader.read(texts, size)


def said(told: reader.ForeignSettings, *words: str) -> bool:
    return any(all(word in note for word in words) for note in told.notes)


@pytest.mark.parametrize("output", ["SaveImage", "PreviewImage", "Some Other Output"])
def test_the_prompt_alone_is_enough(output: str):
    told = read(changed(save={}, more={"save": node(output, images=["decode", 0])}))
    assert (told.tool, told.settings, told.notes) == ("comfyui", TOLD, ())


CUSTOM: Graph = {
    "noise": node("RandomNoise", noise_seed=5),
    "which": node("KSamplerSelect", sampler_name="euler"),
    "sigmas": node("BasicScheduler", scheduler="normal", steps=20, denoise=1.0, model=["ckpt", 0]),
    "guide": node("CFGGuider", cfg=6.5, model=["ckpt", 0], positive=["pos", 0], negative=["neg", 0]),
}
EFFICIENT: Graph = {
    "load": node(
        "Efficient Loader",
        ckpt_name="lake.safetensors",
        vae_name="Baked VAE",
        clip_skip=-2,
        lora_name="None",
        lora_model_strength=1,
        lora_clip_strength=1,
        positive="a red duck",
        negative="fog",
        empty_latent_width=832,
        empty_latent_height=1216,
        batch_size=1,
    ),
    "draw": node(
        "KSampler (Efficient)",
        seed=5,
        steps=20,
        cfg=6.5,
        sampler_name="euler",
        scheduler="normal",
        denoise=1.0,
        model=["load", 0],
        positive=["load", 1],
        negative=["load", 2],
        latent_image=["load", 3],
        optional_vae=["load", 4],
    ),
    "save": node("SaveImage", images=["draw", 5]),
}
SAMPLERS = {
    "advanced": {"draw": ADVANCED},
    "custom": {
        **CUSTOM,
        "draw": node(
            "SamplerCustom",
            add_noise=True,
            noise_seed=5,
            cfg=6.5,
            model=["ckpt", 0],
            positive=["pos", 0],
            negative=["neg", 0],
            sampler=["which", 0],
            sigmas=["sigmas", 0],
            latent_image=["size", 0],
        ),
    },
    "custom advanced": {
        **CUSTOM,
        "draw": node(
            "SamplerCustomAdvanced",
            noise=["noise", 0],
            guider=["guide", 0],
            sampler=["which", 0],
            sigmas=["sigmas", 0],
            latent_image=["size", 0],
        ),
    },
    "pipe": {
        "pipe": node(
            "ToBasicPipe", model=["ckpt", 0], clip=["ckpt", 1], positive=["pos", 0], negative=["neg", 0]
        ),
        "draw": node(
            "ImpactKSamplerBasicPipe",
            basic_pipe=["pipe", 0],
            seed=5,
            steps=20,
            cfg=6.5,
            sampler_name="euler",
            scheduler="normal",
            latent_image=["size", 0],
            denoise=1.0,
        ),
    },
}


@pytest.mark.parametrize("kind", SAMPLERS)
def test_samplers_of_every_kind(kind: str):
    told = read(changed(SAMPLERS[kind]))
    assert (told.settings, told.notes) == (TOLD, ())


def test_efficiency_nodes():
    told = read(EFFICIENT)
    assert told.settings == {**TOLD, "clip_skip": 2} and told.notes == ()


LINKED = [
    {"seed": node("PrimitiveInt", value=5)},
    {"seed": node("Seed (rgthree)", seed=5)},
    {"seed": node("Reroute", **{"": ["int", 0]}), "int": node("INTConstant", value=5)},
    {"seed": node("Any Switch (rgthree)", any_02=["int", 0]), "int": node("Int Literal", int=5)},
    {
        "seed": node("ImpactSwitch", select=2, input1=["other", 0], input2=["int", 0]),
        "int": node("PrimitiveInt", value=5),
        "other": node("PrimitiveInt", value=6),
    },
    {
        "seed": node("ComfySwitchNode", switch=False, on_true=["other", 0], on_false=["int", 0]),
        "int": node("PrimitiveInt", value=5),
        "other": node("PrimitiveInt", value=6),
    },
]


@pytest.mark.parametrize("more", LINKED)
def test_numbers_that_other_nodes_hand_in(more: Graph):
    more = more | {"wide": node("PrimitiveInt", value=832)}
    told = read(changed(more, draw={"seed": ["seed", 0]}, size={"width": ["wide", 0]}))
    assert (told.settings, told.notes) == (TOLD, ())


def test_a_number_that_would_have_to_be_worked_out_is_named():
    more = {"sum": node("MathExpression", a=3, b=2, expression="a+b")}
    told = read(changed(more, draw={"seed": ["sum", 0]}))
    assert "seed" not in told.settings and said(told, "seed", "MathExpression")


def test_a_context_hands_each_thing_on_by_its_name():
    context = node(
        "Context Big (rgthree)",
        model=["ckpt", 0],
        positive=["pos", 0],
        negative=["neg", 0],
        latent=["size", 0],
        seed=5,
        sampler="euler",
        scheduler="normal",
    )
    links = {
        "seed": ["c", 8],
        "sampler_name": ["c", 15],
        "scheduler": ["c", 16],
        "model": ["c", 1],
        "positive": ["c", 4],
        "negative": ["c", 5],
        "latent_image": ["c", 6],
    }
    told = read(changed({"c": context}, draw=links))
    assert (told.settings, told.notes) == (TOLD, ())


def test_sizes_that_are_chosen_from_a_list():
    sizes = node("CR SDXL Aspect Ratio", width=1024, height=1024, aspect_ratio="5:8 portrait 832x1216")
    link = {"width": ["list", 0], "height": ["list", 1]}
    assert read(changed({"list": sizes}, size=link)).settings == TOLD
    sizes["inputs"] |= {"aspect_ratio": "custom", "width": 832, "height": 1216}
    assert read(changed({"list": sizes}, size=link)).settings == TOLD
    sizes["inputs"]["aspect_ratio"] = "portrait"
    told = read(changed({"list": sizes}, size=link))
    assert "width" not in told.settings and said(told, "width cannot be read")


STRINGS = [
    {"words": node("PrimitiveString", value="a red duck")},
    {"words": node("Text Multiline", text="a red duck")},
    {
        "words": node("ShowText|pysssss", text=["more", 0]),
        "more": node("String Literal", string="a red duck"),
    },
    {
        "words": node("StringConcatenate", string_a="a red", string_b=["more", 0], delimiter=" "),
        "more": node("PrimitiveStringMultiline", value="duck"),
    },
    {
        "words": node(
            "Text Concatenate",
            delimiter=" ",
            clean_whitespace="true",
            text_a="a red",
            text_b="",
            text_c=["more", 0],
        ),
        "more": node("Text Multiline", text="duck"),
    },
    {"words": node("CR Text Concatenate", text1="a red", text2="duck", separator=" ")},
    {
        "words": node(
            "StringFunction|pysssss",
            action="replace",
            tidy_tags="no",
            text_a="a blue duck",
            text_b="blue",
            text_c="red",
        )
    },
    {
        "words": node(
            "ImpactWildcardProcessor",
            wildcard_text="a {red|blue} duck",
            populated_text="a red duck",
            mode="fixed",
            seed=3,
        )
    },
]


@pytest.mark.parametrize("more", STRINGS)
def test_texts_that_other_nodes_hand_in(more: Graph):
    told = read(changed(more, pos={"text": ["words", 0]}))
    assert (told.settings["prompt"], told.notes) == ("a red duck", ())


def test_a_node_that_makes_a_text_of_its_own_is_named():
    more = {"words": node("DPRandomGenerator", text="a {red|blue} duck", seed=1)}
    told = read(changed(more, pos={"text": ["words", 0]}))
    assert said(told, "DPRandomGenerator")
    assert said(read(changed(pos={"text": ["gone", 0]})), "could not be followed")


def test_two_texts_for_the_two_encoders():
    more = {
        "pos": node(
            "CLIPTextEncodeSDXL", text_g="a red duck", text_l="oil", clip=["ckpt", 1], width=1, height=1
        )
    }
    told = read(changed(more))
    assert (told.settings["prompt"], told.settings["prompt_2"]) == ("oil", "a red duck")
    more["pos"]["inputs"]["text_l"] = "a red duck"
    assert read(changed(more)).settings == TOLD
    more = {"neg": node("CLIPTextEncodeSDXL", text_g="fog", text_l="rain", clip=["ckpt", 1])}
    told = read(changed(more))
    assert told.settings["negative_prompt"] == "rain, fog" and said(told, "negative prompt", "two texts")


def test_conditionings_that_are_put_together_or_emptied():
    more = {
        "both": node("ConditioningConcat", conditioning_to=["pos", 0], conditioning_from=["late", 0]),
        "late": node("CLIPTextEncode", text="at dawn", clip=["ckpt", 1]),
    }
    told = read(changed(more, draw={"positive": ["both", 0]}))
    assert told.settings["prompt"] == "a red duck, at dawn" and said(told, "ConditioningConcat")
    told = read(
        changed(
            {"zero": node("ConditioningZeroOut", conditioning=["pos", 0])}, draw={"negative": ["zero", 0]}
        )
    )
    assert told.settings["negative_prompt"] == "" and said(told, "ConditioningZeroOut")


def test_what_guides_besides_the_words_is_named():
    more = {
        "net": node("ControlNetLoader", control_net_name="canny.safetensors"),
        "edges": node("LoadImage", image="edges.png"),
        "apply": node(
            "ControlNetApplyAdvanced",
            positive=["pos", 0],
            negative=["neg", 0],
            control_net=["net", 0],
            image=["edges", 0],
            strength=0.8,
        ),
        "ip": node(
            "IPAdapterAdvanced", model=["ckpt", 0], ipadapter=["iploader", 0], image=["edges", 0], weight=0.5
        ),
        "iploader": node("IPAdapterModelLoader", ipadapter_file="plus.bin"),
    }
    links = {"positive": ["apply", 0], "negative": ["apply", 1], "model": ["ip", 0]}
    told = read(changed(more, draw=links))
    assert told.settings == TOLD
    assert said(told, "ControlNetApplyAdvanced", "canny", "IPAdapterAdvanced")


LORAS: dict[str, tuple[dict[str, Any], list[tuple[str, float]]]] = {
    "loader": (
        node("LoraLoader", lora_name="birds\\hat.safetensors", strength_model=0.8, strength_clip=0.8),
        [("hat", 0.8)],
    ),
    "with a preview": (
        node(
            "LoraLoader|pysssss",
            lora_name={"content": "hat.safetensors", "image": None},
            strength_model=0.8,
            strength_clip=0.8,
        ),
        [("hat", 0.8)],
    ),
    "rgthree": (
        node(
            "Power Lora Loader (rgthree)",
            lora_1={"on": True, "lora": "hat.safetensors", "strength": 0.8},
            lora_2={"on": False, "lora": "ink.safetensors", "strength": 1},
        ),
        [("hat", 0.8)],
    ),
    "rgthree's stack": (
        node(
            "Lora Loader Stack (rgthree)",
            lora_01="hat.safetensors",
            strength_01=0.8,
            lora_02="None",
            strength_02=1,
        ),
        [("hat", 0.8)],
    ),
    "easy": (
        node(
            "easy loraStackApply",
            toggle=True,
            num_loras=1,
            mode="simple",
            lora_1_name="hat.safetensors",
            lora_1_strength=0.8,
            lora_1_model_strength=1,
            lora_1_clip_strength=1,
            lora_2_name="ink.safetensors",
            lora_2_strength=1,
        ),
        [("hat", 0.8)],
    ),
    "manager": (
        node(
            "Lora Loader (LoraManager)",
            text="<lora:hat:0.8>",
            loras={
                "__value__": [
                    {"name": "hat", "strength": 0.8, "active": True},
                    {"name": "ink", "strength": 1, "active": False},
                ]
            },
        ),
        [("hat", 0.8)],
    ),
    "tags": (node("LoraTagLoader", text="<lora:hat:0.8> words"), [("hat", 0.8)]),
    "at zero": (node("LoraLoader", lora_name="hat.safetensors", strength_model=0, strength_clip=0), []),
}


@pytest.mark.parametrize("way", LORAS)
def test_loras_of_every_loader(way: str):
    loader, expected = LORAS[way]
    loader = copy.deepcopy(loader)
    loader["inputs"] |= {"model": ["ckpt", 0], "clip": ["ckpt", 1]}
    links = {"pos": {"clip": ["lora", 1]}, "neg": {"clip": ["lora", 1]}, "draw": {"model": ["lora", 0]}}
    told = read(changed({"lora": loader}, **links))
    assert told.settings.get("loras", []) == [{"name": name, "weight": weight} for name, weight in expected]
    assert told.notes == () and told.settings["base_model"] == "lake"


def test_a_stack_of_loras():
    more = {
        "stack": node(
            "CR LoRA Stack",
            switch_1="On",
            lora_name_1="hat.safetensors",
            model_weight_1=0.8,
            clip_weight_1=0.8,
            switch_2="Off",
            lora_name_2="ink.safetensors",
            model_weight_2=1,
            clip_weight_2=1,
            switch_3="On",
            lora_name_3="None",
            model_weight_3=1,
            clip_weight_3=1,
        ),
        "apply": node("CR Apply LoRA Stack", model=["ckpt", 0], clip=["ckpt", 1], lora_stack=["stack", 0]),
    }
    links = {"pos": {"clip": ["apply", 1]}, "neg": {"clip": ["apply", 1]}, "draw": {"model": ["apply", 0]}}
    told = read(changed(more, **links))
    assert told.settings["loras"] == [{"name": "hat", "weight": 0.8}] and told.notes == ()


def test_two_weights_of_a_lora_are_named():
    lora = node(
        "LoraLoader",
        lora_name="hat.safetensors",
        strength_model=0.8,
        strength_clip=0.3,
        model=["ckpt", 0],
        clip=["ckpt", 1],
    )
    links = {"pos": {"clip": ["lora", 1]}, "draw": {"model": ["lora", 0]}}
    told = read(changed({"lora": lora}, **links))
    assert told.settings["loras"] == [{"name": "hat", "weight": 0.8, "te_weight": 0.3}]
    lora = node("LoraLoaderModelOnly", lora_name="hat.safetensors", strength_model=0.8, model=["ckpt", 0])
    told = read(changed({"lora": lora}, draw={"model": ["lora", 0]}))
    assert told.settings["loras"] == [{"name": "hat", "weight": 0.8, "te_weight": 0.0}]


def test_what_is_not_connected_has_no_say():
    stray = node(
        "LoraLoader", lora_name="ink.safetensors", strength_model=1, model=["ckpt", 0], clip=["ckpt", 1]
    )
    told = read(changed({"stray": stray, "other": node("CLIPTextEncode", text="a dog", clip=["stray", 1])}))
    assert (told.settings, told.notes) == (TOLD, ())


@pytest.mark.parametrize("mode", [2, 4])
def test_what_is_switched_off_has_no_say(mode: int):
    lora = node(
        "LoraLoader", lora_name="ink.safetensors", strength_model=1, model=["ckpt", 0], clip=["ckpt", 1]
    )
    drawn = {
        "id": "lora",
        "type": "LoraLoader",
        "mode": mode,
        "inputs": [{"name": "model", "type": "MODEL"}, {"name": "clip", "type": "CLIP"}],
        "outputs": [{"name": "MODEL", "type": "MODEL"}, {"name": "CLIP", "type": "CLIP"}],
    }
    told = read(
        changed({"lora": lora}, draw={"model": ["lora", 0]}, pos={"clip": ["lora", 1]}), {"nodes": [drawn]}
    )
    assert "loras" not in told.settings
    if mode == 4:
        assert (told.settings, told.notes) == (TOLD, ())


def test_clip_skip():
    more = {"last": node("CLIPSetLastLayer", stop_at_clip_layer=-3, clip=["ckpt", 1])}
    assert read(changed(more, pos={"clip": ["last", 0]})).settings == {**TOLD, "clip_skip": 3}
    more["last"]["inputs"]["stop_at_clip_layer"] = -1
    told = read(changed(more, pos={"clip": ["last", 0]}))
    assert "clip_skip" not in told.settings and said(told, "last layer")


PICTURE = {
    "photo": node("LoadImage", image="p.png"),
    "encode": node("VAEEncode", pixels=["photo", 0], vae=["ckpt", 2]),
}


def test_from_another_picture():
    told = read(changed(PICTURE, draw={"latent_image": ["encode", 0], "denoise": 0.3, "steps": 10}))
    assert told.settings["strength"] == 0.3 and "width" not in told.settings
    assert said(told, "all 10 steps", "here 34 steps"), "int(33 * 0.3) is 9"
    told = read(
        changed({**PICTURE, "draw": ADVANCED}, draw={"latent_image": ["encode", 0], "start_at_step": 5})
    )
    assert told.settings["strength"] == 0.75 and told.notes == ()
    told = read(changed(draw={"denoise": 0.9}))
    assert "strength" not in told.settings and said(told, "0.9", "empty latent")


SECOND = node(
    "KSampler",
    seed=6,
    steps=9,
    cfg=4,
    sampler_name="euler",
    scheduler="normal",
    denoise=0.4,
    model=["ckpt", 0],
    positive=["pos", 0],
    negative=["neg", 0],
    latent_image=["larger", 0],
)


def test_a_second_sampler_and_what_lies_between_are_named():
    more = {"larger": node("LatentUpscaleBy", samples=["draw", 0], scale_by=1.5), "second": SECOND}
    told = read(changed(more, decode={"samples": ["second", 0]}))
    assert told.settings == TOLD
    assert said(told, "second sampler", "steps 9", "denoise 0.4") and said(told, "LatentUpscaleBy")
    more = {
        "up": node("UpscaleModelLoader", model_name="4x.pth"),
        "larger": node("ImageUpscaleWithModel", image=["decode", 0], upscale_model=["up", 0]),
        "face": node(
            "FaceDetailer",
            image=["larger", 0],
            model=["ckpt", 0],
            positive=["pos", 0],
            steps=20,
            cfg=8,
            seed=1,
            sampler_name="euler",
            scheduler="normal",
            denoise=0.5,
        ),
    }
    told = read(changed(more, save={"images": ["face", 0]}))
    assert told.settings == TOLD and said(told, "ImageUpscaleWithModel (4x)", "FaceDetailer")
    told = read(changed({"larger": more["larger"], "second": SECOND}))
    assert said(told, "do not lead to this picture"), "a second sampler that nothing uses"


def test_a_refiner():
    refiner = copy.deepcopy(ADVANCED)
    refiner["inputs"] |= {
        "add_noise": "disable",
        "start_at_step": 16,
        "model": ["refiner", 0],
        "latent_image": ["draw", 0],
        "positive": ["pos", 0],
    }
    more = {
        "draw": ADVANCED,
        "finish": refiner,
        "refiner": node("CheckpointLoaderSimple", ckpt_name="fine.safetensors"),
    }
    told = read(changed(more, draw={"end_at_step": 16}, decode={"samples": ["finish", 0]}))
    assert told.settings == {
        **TOLD,
        "second_pass_model": "fine",
        "second_pass_mode": "refiner",
        "refiner_switch": 0.8,
    }


def test_the_output_of_the_pictures_own_size_is_followed():
    more = {
        "size2": node("EmptyLatentImage", width=512, height=640, batch_size=1),
        "draw2": copy.deepcopy(BASIC["draw"]),
        "decode2": node("VAEDecode", samples=["draw2", 0], vae=["ckpt", 2]),
        "save2": node("SaveImage", images=["decode2", 0]),
    }
    graph = changed(more, draw2={"latent_image": ["size2", 0], "seed": 9})
    assert read(graph, size=(512, 640)).settings["seed"] == 9
    assert read(graph, size=(832, 1216)).settings["seed"] == 5
    told = read(graph, size=(64, 64))
    assert told.settings["seed"] == 5 and said(told, "2 different pictures")


def test_one_of_a_batch_is_said():
    assert said(read(changed(size={"batch_size": 4})), "batch of 4")


def test_a_workflow_without_a_prompt():
    nodes = [
        {"id": 1, "type": "CheckpointLoaderSimple", "widgets_values": ["lake.safetensors"]},
        {
            "id": 2,
            "type": "CLIPTextEncode",
            "inputs": [{"name": "clip", "link": 1}],
            "widgets_values": ["a red duck"],
        },
        {
            "id": 3,
            "type": "CLIPTextEncode",
            "inputs": [{"name": "clip", "link": 2}],
            "widgets_values": ["fog"],
        },
        {"id": 4, "type": "EmptyLatentImage", "widgets_values": [832, 1216, 1]},
        {
            "id": 5,
            "type": "KSampler",
            "inputs": [
                {"name": "model", "link": 3},
                {"name": "positive", "link": 4},
                {"name": "negative", "link": 5},
                {"name": "latent_image", "link": 6},
            ],
            "widgets_values": [5, "randomize", 20, 6.5, "euler", "normal", 1.0],
        },
        {
            "id": 6,
            "type": "VAEDecode",
            "inputs": [{"name": "samples", "link": 7}, {"name": "vae", "link": 8}],
        },
        {"id": 7, "type": "SaveImage", "inputs": [{"name": "images", "link": 9}], "widgets_values": ["x"]},
        {
            "id": 8,
            "type": "LoraLoader",
            "mode": 4,
            "inputs": [{"name": "model", "type": "MODEL", "link": 10}],
            "outputs": [{"name": "MODEL", "type": "MODEL"}],
            "widgets_values": ["ink.safetensors", 1, 1],
        },
    ]
    links = [
        [1, 1, 1, 2, 0, "CLIP"],
        [2, 1, 1, 3, 0, "CLIP"],
        [3, 8, 0, 5, 0, "MODEL"],
        [4, 2, 0, 5, 1, "C"],
        [5, 3, 0, 5, 2, "C"],
        [6, 4, 0, 5, 3, "LATENT"],
        [7, 5, 0, 6, 0, "LATENT"],
        [8, 1, 2, 6, 1, "VAE"],
        [9, 6, 0, 7, 0, "IMAGE"],
        [10, 1, 0, 8, 0, "MODEL"],
    ]
    told = reader.read({"workflow": json.dumps({"nodes": nodes, "links": links})})
    assert (told.settings, told.notes) == (TOLD, ())


def deep(count: int, kind: str, *keys: str) -> Graph:
    """A chain of nodes, each of which names the next one in all of its inputs."""
    return {str(at): node(kind, **{key: [str(at + 1), 0] for key in keys}) for at in range(count)}


HOSTILE = {
    "many samplers": (
        {
            str(at): node("KSampler", sampler_name="euler", steps=1, cfg=1, latent_image=[str(at + 1), 0])
            for at in range(2_900)
        },
        True,
    ),
    "many nodes": (changed({f"n{at}": node("X") for at in range(3_000)}), False),
    "texts that double": (
        changed(deep(60, "StringConcatenate", "string_a", "string_b"), pos={"text": ["0", 0]}),
        False,
    ),
    "conditionings that double": (
        changed(
            deep(60, "ConditioningConcat", "conditioning_to", "conditioning_from"),
            draw={"positive": ["0", 0]},
        ),
        False,
    ),
    "a circle": (
        changed({"loop": node("Reroute", x=["loop", 0])}, draw={"model": ["loop", 0], "steps": ["draw", 0]}),
        True,
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_graphs_are_bounded(name: str):
    """Counted in looks at nodes, which is what time grows with."""
    graph, readable = HOSTILE[name]
    told = read(graph)
    assert bool(told.settings) == readable
    if not readable:
        assert said(told, "too large to be read")
