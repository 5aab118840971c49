"""How running servers are shown: on the terminal, as lines, as JSON."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from pytest_httpconc.commands.readings import port

if TYPE_CHECKING:
    from fake_servers import FakeServer
    from pytest_httpconc.live.logs import Log

__all__ = ["add_showing", "show", "trust_lines"]

_PLACE: Final = re.compile(r"(?:(?P<address>[^][:/\s]+|\[[^][/\s]+\]):)?(?P<port>\d+)")


def add_showing(parser: argparse.ArgumentParser) -> None:
    """Give a command the options that `show` goes by."""
    how = parser.add_argument_group("how it is shown")
    how.add_argument(
        "--dashboard",
        nargs="?",
        type=_place,
        const=("127.0.0.1", 0),
        metavar="[ADDRESS:]PORT",
        help="a live page as well (default: 127.0.0.1, and any port that is free)",
    )
    how.add_argument("--json", action="store_true", help="a line of JSON for each exchange, for machines")


def _place(text: str) -> tuple[str, int]:
    place = _PLACE.fullmatch(text)
    if place is None:  # no address, or an empty one, is not every interface's
        raise argparse.ArgumentTypeError(
            f"{text!r} is no port; allowed are PORT and ADDRESS:PORT, as in 8090, 127.0.0.1:8090 and [::1]:8090; "
            "without one, --dashboard stands last"
        )
    return (place["address"] or "127.0.0.1").strip("[]"), port(place["port"])


def trust_lines(server: FakeServer) -> list[str]:
    """What has clients trust a server that speaks TLS; nothing for one that does not."""
    if not server.url.startswith("https"):
        return []
    return [f"export SSL_CERT_FILE={server.ca_path} REQUESTS_CA_BUNDLE={server.ca_path}"]


def show(servers: Sequence[FakeServer], options: argparse.Namespace, *, header: Sequence[str]) -> int:
    """Show running servers until Ctrl-C or SIGTERM, and sum up; return the exit status.

    Args:
        servers: what is shown; they are left running.
        options: of a parser that `add_showing` has been given.
        header: lines that say how to use them.

    Raises:
        FakeServerError: a server's process has ended by itself, or the dashboard's port can't be had.
    """
    from pytest_httpconc.live.showing import show_until_ended

    with _dashboard(servers, options) as lines:
        show_until_ended(servers, _log(options), header=[*header, *lines, "Ctrl-C ends it"])
    return 0


@contextmanager
def _dashboard(servers: Sequence[FakeServer], options: argparse.Namespace) -> Iterator[list[str]]:
    """Serve the page, if it is wanted; what is to be said of it."""
    if options.dashboard is None:
        yield []
        return
    from pytest_httpconc.dashboard.hosting import Dashboard

    address, wanted = options.dashboard
    with Dashboard(servers, address=address, port=wanted) as dashboard:
        yield [f"dashboard: {dashboard.url}"]


def _log(options: argparse.Namespace) -> Log:
    from pytest_httpconc.live.logs import JsonLog, PlainLog, TerminalLog

    if options.json:
        return JsonLog(_say)
    return TerminalLog() if sys.stdout.isatty() else PlainLog(_say)


def _say(line: str) -> None:
    print(line, flush=True)
