"""What Prometheus is told (https://prometheus.io/docs/instrumenting/exposition_formats/)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

__all__ = ["NO_METRICS", "Metrics"]

NO_METRICS: Final = "metrics need prometheus_client; install it by pip install 'pytest-httpconc[agent]'"


class Metrics:
    """The metrics of one server, in a registry of their own.

    Args:
        active: tells how many requests run.
        usage: tells which part of the pool is in use, 0 to 1.

    Raises:
        ImportError: prometheus_client is not installed.
    """

    def __init__(self, *, active: Callable[[], float], usage: Callable[[], float]) -> None:
        import prometheus_client as prometheus

        self._generate = prometheus.generate_latest
        self.content_type: str = prometheus.CONTENT_TYPE_LATEST
        self._registry = prometheus.CollectorRegistry()
        self.requests = prometheus.Counter("requests_total", "Questions that arrived", registry=self._registry)
        gauge = prometheus.Gauge("active_requests", "Requests that run", registry=self._registry)
        gauge.set_function(active)
        gauge = prometheus.Gauge("pool_usage", "Part of the pool in use, 0 to 1", registry=self._registry)
        gauge.set_function(usage)

    def text(self) -> bytes:
        """The metrics as they are now."""
        return self._generate(self._registry)
