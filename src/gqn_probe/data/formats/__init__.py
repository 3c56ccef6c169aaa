"""Readers of frames and cameras in other people's formats, local or remote."""
