"""Readers of others' files of frames and cameras, local or remote."""
