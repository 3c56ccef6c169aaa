"""The bundled weights and the command that makes them; their model card is ``README.md``."""
