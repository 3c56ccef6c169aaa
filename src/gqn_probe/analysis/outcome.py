"""What a protocol comes to, by the name that this package imports it by."""

from gqn_probe.results import Outcome

__all__ = ["Outcome"]
