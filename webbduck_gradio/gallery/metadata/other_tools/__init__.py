"""Readers for settings of other programs. `reader` chooses one.

values           the result type of all readers, and type checks for untrusted data
a1111            AUTOMATIC1111's text, also written by Forge, SD.Next, Fooocus and many others
comfyui          ComfyUI, from the output back to the samplers; comfyui_graph (nodes and links),
                 comfyui_values (numbers and texts computed by other nodes), comfyui_models,
                 comfyui_prompts, comfyui_loras
invokeai, swarmui, fooocus, novelai, apps (Draw Things, Easy Diffusion)
"""
