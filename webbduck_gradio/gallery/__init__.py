"""The gallery: saved images, their metadata, search, trash and export.

    outputs         Outputs (the output folder) and Run (the folder of one job, written by run_writer)
    run_layout      contents of one run folder; image ids
    metadata/       metadata embedded in image files, ours and that of other programs
    index/          SQLite with full-text search, synchronised with the folders
    upscaled_images, thumbnails, input_images, trash, favourites, export

Neither Gradio nor torch is needed here.
"""
