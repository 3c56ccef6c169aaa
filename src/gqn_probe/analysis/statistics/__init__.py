"""Statistics of what probes read: intervals, scores, geometry of r, the headline."""
