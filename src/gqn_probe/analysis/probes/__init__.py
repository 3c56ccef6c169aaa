"""Probes: linear, ridge, nearest neighbours, perceptron, code length."""
