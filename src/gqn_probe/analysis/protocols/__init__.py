"""The studies: the jobs of a sweep, the count probe, decoding, the original study."""
