"""Questions to probes: targets and their labels, controls, and splits by object."""
