"""Finished work on disk: what is there, how it was made, how it is found, deleted and brought back.

    outputs         Outputs (the output folder) and Run (the folder of one job, written by run_writer)
    run_layout      what one folder holds; ids of pictures
    metadata/       what a picture says about itself, in our words and in those of other programs
    index/          SQLite with full-text search, kept in step with the folders
    upscaled_images, thumbnails, input_images, trash, favourites, export

Neither Gradio nor torch is needed here.
"""
