"""The popular clients, each with the contract that scores it; a user's own contract is one more."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from fake_servers.errors import ScenarioError

__all__ = ["CLIENTS", "Client", "chosen"]

_HERE: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """What is scored.

    Args:
        name: of the client; of a user's own contract, empty.
        distribution: whose release it is; of a user's own contract, empty.
        place: the file of the contract, or with ``::`` the class in it, as pytest takes it.
    """

    name: str = ""
    distribution: str = ""
    place: str

    @property
    def is_own(self) -> bool:
        """Whether it is a user's contract, to be run with the user's own settings."""
        return not self.name

    @property
    def release(self) -> str | None:
        """The installed release; None if there is none."""
        try:
            return version(self.distribution)
        except PackageNotFoundError:
            return None


def _contracts() -> Path:
    """Where the contracts are: in the installed package, or in the checkout, whose examples they are."""
    packaged = _HERE / "contracts"
    return packaged if packaged.is_dir() else _HERE.parents[1] / "examples" / "contracts"


def _client(name: str, distribution: str = "") -> Client:
    file = _contracts() / f"test_{name.replace('-', '_')}.py"
    return Client(name=name, distribution=distribution or name, place=str(file))


#: In the order of the table.
CLIENTS: Final = (
    _client("requests"),
    _client("requests-limited", "requests"),
    _client("httpx"),
    _client("aiohttp"),
    _client("openai"),
    _client("anthropic"),
    _client("docker"),
)


def chosen(names: Sequence[str]) -> list[Client]:
    """The clients of these names, and the contracts in these files; all that are installed where none is named.

    Raises:
        ScenarioError: one is not known or not installed, or there is no such file.
    """
    if not names:
        return [client for client in CLIENTS if client.release is not None]
    return [_one(name) for name in dict.fromkeys(names)]


def _one(name: str) -> Client:
    if os.sep in name or ".py" in name:
        if not Path(name.partition("::")[0]).exists():
            raise ScenarioError(f"there is no {name}; give a file with a ClientContract, as in tests/test_contract.py")
        return Client(place=name)
    found = {client.name: client for client in CLIENTS}.get(name)
    if found is None:
        known = ", ".join(client.name for client in CLIENTS)
        raise ScenarioError(f"client {name!r} is not known; allowed are {known}, and files, as in tests/test_mine.py")
    if found.release is None:
        raise ScenarioError(f"client {name!r} is not installed; it comes with pip install {found.distribution}")
    return found
