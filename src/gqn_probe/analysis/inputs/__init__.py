"""What a probe sees: views chosen, read out of the network, summed."""
