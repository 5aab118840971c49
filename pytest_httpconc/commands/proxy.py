"""``httpconc proxy``: the scenario and the ledger of a fake, by hand, before a server that is real."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from pytest_httpconc.commands.serving_options import EXAMPLE_OF_FAULTS, add_options, arguments_of
from pytest_httpconc.commands.showing import add_showing, show, trust_lines

if TYPE_CHECKING:
    from fake_servers import ChaosProxy

__all__ = ["add_parser", "make_proxy", "run"]

_PORT: Final = 9532
_EXAMPLES: Final = f"""examples:
  httpconc proxy http://127.0.0.1:8000 {EXAMPLE_OF_FAULTS}
  httpconc proxy https://api.openai.com --fault 'Disconnect(after_events=3)' --probability 0.1
  httpconc proxy unix:///var/run/docker.sock --port 9532 --delay lognormal:median=0.05,sigma=0.4
  httpconc proxy tcp://127.0.0.1:6379 --fault 'Reset(after_bytes=100)' --port 0

exit status: 0 it was ended by Ctrl-C or SIGTERM; 2 it can't be served, for a reason given in one line
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Say how it is called."""
    parser = commands.add_parser(
        "proxy",
        help="stand before a real server, with latencies and faults",
        description="Hands every request on to a real server until Ctrl-C, with latencies and faults, and prints the "
        "exchanges as they come and what was found.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "upstream",
        metavar="UPSTREAM",
        help="the real server: http://HOST[:PORT][/PREFIX], https://..., unix:///PATH, or tcp://HOST:PORT",
    )
    upstream = parser.add_argument_group("how the real server is reached")
    upstream.add_argument("--ca", metavar="FILE", help="authorities to trust, in PEM (default: those of the system)")
    upstream.add_argument("--insecure", action="store_true", help="trust any certificate")
    upstream.add_argument(
        "--connect-timeout", type=float, default=10.0, metavar="SECONDS", help="above 0 (default: %(default)g)"
    )
    upstream.add_argument("--keep-host", action="store_true", help="send it the Host that the client has sent")
    add_options(parser, default_port=_PORT)
    parser.set_defaults(port=None)  # before a unix socket, there is none
    add_showing(parser)
    return parser


def run(options: argparse.Namespace) -> int:
    """Serve it; see the exit status above."""
    with make_proxy(options) as proxy:
        header = [f"ChaosProxy at {proxy.url} before {proxy.upstream}", *trust_lines(proxy)]
        return show([proxy], options, header=header)


def make_proxy(options: argparse.Namespace) -> ChaosProxy:
    """The proxy that the options ask for, not started yet.

    Raises:
        ScenarioError: they make no sense together.
        FakeServerError: TLS is wanted, and trustme is not installed.
    """
    from fake_servers import ChaosProxy, ScenarioError

    if options.port is None and options.upstream.startswith("unix:"):
        raise ScenarioError(
            f"before a unix socket, --port has to be given, as in --port {_PORT}: a TCP port is open to every user of "
            "this machine, whoever may use the socket"
        )
    if options.insecure and options.ca is not None:
        raise ScenarioError("--insecure trusts any certificate, and --ca those of a file; give one of them")
    return ChaosProxy(
        options.upstream,
        verify=not options.insecure if options.ca is None else options.ca,
        connect_timeout=options.connect_timeout,
        keep_host=options.keep_host,
        **{**arguments_of(options), "port": _PORT if options.port is None else options.port},
    )
