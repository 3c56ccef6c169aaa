"""Stimuli: shapes, cameras, and the renderer."""
