"""Lightning modules that train the GQN and the probes, and what a training run shows and leaves."""
