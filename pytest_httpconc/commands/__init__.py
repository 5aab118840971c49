"""The subcommands of ``httpconc``, one module each, which say how they are called and what they do.

Each has ``add_parser(commands)`` and ``run(options) -> int``, and imports what it needs to run when it runs. The whole
parser is ``options.parser``. A command that runs another sets a default for ``to_run``: there is what follows ``--``.
"""

from __future__ import annotations

import argparse
from typing import Protocol

from pytest_httpconc.commands import (
    compare,
    completion,
    demo,
    explain,
    monitor,
    proxy,
    replay,
    report,
    score,
    serve,
    survey,
)

__all__ = ["COMMANDS", "Command"]


class Command(Protocol):
    """What a module of a subcommand offers."""

    def add_parser(self, commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
        """Say how it is called."""
        ...

    def run(self, options: argparse.Namespace) -> int:
        """Do it; return the exit status."""
        ...


#: In the order in which ``--help`` has them.
COMMANDS: tuple[Command, ...] = (
    demo,
    explain,
    serve,
    proxy,
    replay,
    report,
    monitor,
    score,
    survey,
    compare,
    completion,
)
