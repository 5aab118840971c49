"""Load from many machines: locust's users drive the client of a contract, and the ledger's checks judge the run.

``from pytest_httpconc.load import ContractUser`` in a locustfile; it takes the extra ``[locust]``, whose gevent patches
the process in which it is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_httpconc.load.users import ContractUser
    from pytest_httpconc.load.watching import watch

__all__ = ["ContractUser", "watch"]


def __getattr__(name: str) -> object:
    # locust patches what it is imported into: that is for locustfiles alone, and not for who imports a module here.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pytest_httpconc.load import users, watching  # both: whoever has users is to be watched

    return users.ContractUser if name == "ContractUser" else watching.watch
