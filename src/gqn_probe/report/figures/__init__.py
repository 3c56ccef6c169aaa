"""The figures of a study: each file is found, and each function under ``study_figure`` is drawn."""
