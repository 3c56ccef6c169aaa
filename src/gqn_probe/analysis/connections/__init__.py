"""Connections from r into the generator: terms of its gates, ablation of channels of r, occlusion of views."""
