"""`ChaosProxy`: the same scenario and the same ledger, in front of a server that is real."""

from fake_servers.proxy.server import ChaosProxy

__all__ = ["ChaosProxy"]
