"""Connections from r into the generator: terms of its gates, ablation of units of r, occlusion of views."""
