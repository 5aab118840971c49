"""Sweeps: every point at which a response can be cut or a call be cancelled, one after the other."""

from pytest_httpconc.sweeps.cancellations import Cancellations, sweep_cancellations
from pytest_httpconc.sweeps.truncations import Truncations, sweep_truncations

__all__ = ["Cancellations", "Truncations", "sweep_cancellations", "sweep_truncations"]
