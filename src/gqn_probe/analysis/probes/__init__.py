"""How a probe reads: linear, ridge, nearest neighbours, code length."""
