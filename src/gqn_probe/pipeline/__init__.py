"""The steps of ``probe.py``: open network and scenes, run jobs, evaluate them after the last, run an analysis."""
