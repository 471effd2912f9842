"""Readers of other programs' settings, one module for each program. `reader` chooses among them.

values           what the readers answer, and the checks of types that all of them use
a1111            AUTOMATIC1111's text, which Forge, SD.Next, Fooocus and many others write too
comfyui          ComfyUI: from the output back to the samplers; comfyui_graph (nodes and links),
                 comfyui_values (numbers and texts that come from other nodes), comfyui_loras
invokeai, swarmui, fooocus, novelai, apps (Draw Things, Easy Diffusion)
"""
