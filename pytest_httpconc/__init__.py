"""pytest-httpconc: catches HTTP concurrency bugs before they merge."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_httpconc.assertions import HttpConc
    from pytest_httpconc.bench.figures import Comparison, Measurement
    from pytest_httpconc.bench.harness import HttpconcBenchmark
    from pytest_httpconc.bench.sides import Side
    from pytest_httpconc.contract import ClientContract
    from pytest_httpconc.findings import CheckFailed, Finding, HttpConcWarning

__version__ = "0.1.0"
__all__ = [
    "CheckFailed",
    "ClientContract",
    "Comparison",
    "Finding",
    "HttpConc",
    "HttpConcWarning",
    "HttpconcBenchmark",
    "Measurement",
    "Side",
]

_HOMES = {
    "CheckFailed": "pytest_httpconc.findings",
    "ClientContract": "pytest_httpconc.contract",
    "Comparison": "pytest_httpconc.bench.figures",
    "Finding": "pytest_httpconc.findings",
    "HttpConc": "pytest_httpconc.assertions",
    "HttpConcWarning": "pytest_httpconc.findings",
    "HttpconcBenchmark": "pytest_httpconc.bench.harness",
    "Measurement": "pytest_httpconc.bench.figures",
    "Side": "pytest_httpconc.bench.sides",
}


def __getattr__(name: str) -> object:
    # pytest imports this package in every run: what it offers is imported when it is asked for.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    try:
        home = import_module(_HOMES[name])
    except ModuleNotFoundError as error:
        if error.name not in {"numpy", "scipy"}:
            raise
        problem = f"{__name__}.{name} needs {error.name}; install it by pip install 'pytest-httpconc[bench]'"
        raise ModuleNotFoundError(problem, name=error.name) from None
    return getattr(home, name)
