"""Representational similarity analysis: which pairs of scenes a network, a model or a brain tells apart, compared."""
