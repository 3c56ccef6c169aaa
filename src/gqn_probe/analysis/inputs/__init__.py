"""Inputs of probes: views chosen, read out of the network, summed."""
