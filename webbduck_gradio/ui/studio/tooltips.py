"""One short sentence for each control of the Studio: what it does and when to change it."""

from __future__ import annotations

HELP = {
    "base_model": "The model that draws. A file put into checkpoint/sdxl appears here by itself.",
    "prompt": "What it should show. (word:1.2) weighs more, [word] less; Ctrl+Up and Ctrl+Down do it.",
    "negative_prompt": "What to keep away from. It has no effect at CFG 1.",
    "prompt_2": "SDXL has two text encoders. Only the second one reads this; empty, both read the prompt.",
    "width": "In pixels, a multiple of 8. Models draw best near the size that they were trained on.",
    "height": "In pixels, a multiple of 8. Models draw best near the size that they were trained on.",
    "steps": "How often the noise is refined. More takes longer; past 30 to 40 little changes.",
    "cfg": "How closely the prompt is followed. 4 to 8 is usual; high values look harsh.",
    "scheduler": "The way from noise to picture. Euler is plain; DPM++ 2M Karras needs few steps.",
    "seed": "The noise to start from. The same seed and settings make the same picture; empty is random.",
    "num_images": "Pictures in a row, 1 to 8. Each takes the next seed.",
    "strength": "How much of the input picture is given up: of 20 steps, 0.3 draws 6 (A1111: 7), 1 all.",
    "resize_mode": "When the picture has other proportions: cut what is over, fill the sides, or distort it.",
    "inpainting_fill": "Inpaint masked draws the mask anew; not masked protects it and draws all else anew.",
    "masked_content": "What the drawn part begins with: the colours around it (fill), or what is there now.",
    "inpaint_area": "Whole: all of it at this size. Only masked: that part alone, enlarged, for more detail.",
    "mask_blur": "Softness of the mask's edge, 0 to 64 pixels.",
    "inpaint_padding": "How much around the mask is looked at, 0 to 512 pixels of the picture.",
    "second_pass_model": "A refiner for the last steps, or any SDXL checkpoint that draws over the picture.",
    "second_pass_mode": "Takes over: goes on where the first stops. Draws over: img2img on the finished one.",
    "refiner_switch": "The part of the steps after which the second model goes on, 0.1 to 0.95.",
    "refinement_strength": "How much the second model may change, above 0 to 1.",
    "second_pass_steps": "Steps of the second pass before its strength; empty takes as many as the first.",
    "clip_skip": "Layers of the text encoders left out beyond SDXL's own, 0 to 4. A1111's 2 is 0 here.",
    "emphasis": "Whether weighted words keep the prompt's mean, as A1111 does, or stand as weighted.",
    "output_format": "PNG keeps every pixel; all three carry the settings.",
}

BUTTONS = {
    "generate": "Make as many pictures as Images says (Ctrl+Enter).",
    "test": "Make one picture, whatever Images says.",
    "swap": "Swap width and height",
    "dice": "Empty the seed, so that each press takes a new one.",
    "reuse": "Take the seed of the picture that is shown.",
}
"""The same for the buttons, by their element's id."""

VALUES = {"inpainting_fill": {"replace": "Inpaint masked", "keep": "Inpaint not masked"}}
"""Values whose own words would not tell a person what is meant, as the controls and the lists call them."""
