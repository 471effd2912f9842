"""Finished work on disk: what is there, how it was made, how it is found, deleted and brought back.

    storage     Outputs (the output folder) and Run (the folder of one job)
    runs        what one folder holds; ids of pictures
    metadata    what a picture says about itself: infotext (A1111's text), exif (JPEG, WebP, AVIF), pngtext,
                stealth_alpha (texts in the lowest bits of the pixels)
    foreign     pictures of other programs, read by other_tools; reuse: any picture's settings as fields of
                the request
    index       SQLite with full-text search; search (what is typed), listing (what the page asks), about,
                database, watch (in step)
    thumbnails, inputs, trash, favourites, export
    benchmark   `python -m webbduck_gradio.gallery.benchmark`

Neither Gradio nor torch is needed here.
"""
