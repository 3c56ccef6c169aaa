"""The bundled weights, and how they are made; their model card is ``README.md``."""
