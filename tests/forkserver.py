"""A process that has imported what inner test runs import, and forks for each of them.

It reads one order a line, as JSON, and writes the exit status of each run as a line. A run is a process of its own, as
with `python -m pytest`, but begins where the imports have ended, which are three quarters of a small one.
"""

import gc
import importlib
import json
import os
import pkgutil
import sys


def serve():
    """Fork for each order, and return it in the process that was forked."""
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if not child:
            return order
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    return None


def become(order):
    """Take on a run's folder, environment and arguments, and write to its files."""
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.argv = ["pytest", *order["arguments"]]
    sys.path[0] = order["folder"]
    for descriptor, name, mode in ((0, os.devnull, "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        with open(name, mode) as file:
            os.dup2(file.fileno(), descriptor)


if __name__ == "__main__":
    # Nothing of ours: pytest must be the first to import the plugin, and tests look at what it imports when.
    import _pytest
    import aiohttp  # noqa: F401
    import cloudpickle  # noqa: F401
    import httptools  # noqa: F401
    import httpx  # noqa: F401
    import pytest
    import requests  # noqa: F401
    import scipy.stats  # noqa: F401
    import uvloop  # noqa: F401

    for module in pkgutil.iter_modules(_pytest.__path__, "_pytest."):
        importlib.import_module(module.name)
    gc.freeze()  # no run looks through these for garbage, and so none copies their pages

    order = serve()
    if order is not None:
        become(order)
        sys.exit(pytest.main())
