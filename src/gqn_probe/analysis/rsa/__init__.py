"""Representational similarity analysis: dissimilarities between scenes for networks, models and brains, compared."""
