"""``httpconc serve``: a fake server by hand, for clients of any language."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from pytest_httpconc.commands.services import SERVICES, Service, add_own_options, own_arguments
from pytest_httpconc.commands.serving_options import EXAMPLE_OF_FAULTS, add_options, arguments_of
from pytest_httpconc.commands.showing import add_showing, show, trust_lines

if TYPE_CHECKING:
    from fake_servers import FakeServer, Request, Response

__all__ = ["add_parser", "make_server", "run"]

_EXAMPLES: Final = f"""examples:
  httpconc serve docker {EXAMPLE_OF_FAULTS}
  httpconc serve llm --ttft 0.2 --itl 0.02 --max-num-seqs 8
  httpconc serve eval --gpus 8 --duration 30 --time-scale 0.1
  httpconc serve agent --model pool --pool-size 3 --max-concurrent 5 --duration lognormal:median=2,sigma=0.4
  httpconc serve http --scenario storm.toml --port 8080 --workers 2

exit status: 0 it was ended by Ctrl-C or SIGTERM; 2 it can't be served, or something went wrong in the server itself,
for a reason given in one line
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Say how it is called."""
    parser = commands.add_parser(
        "serve",
        help="serve docker, eval, llm, agent or http by hand, with latencies and faults",
        description="Serves a fake server until Ctrl-C, and prints the exchanges as they come and what was found.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    services = parser.add_subparsers(dest="service", required=True, metavar="SERVICE")
    for service in SERVICES:
        _add_service(services, service)
    return parser


def _add_service(services: argparse._SubParsersAction[argparse.ArgumentParser], service: Service) -> None:
    parser = services.add_parser(
        service.name,
        help=service.what,
        description=f"Serves {service.what}, until Ctrl-C.",
        epilog=f"example:\n  httpconc serve {service.name} --delay 0.05 --fault Status:503 --times 2",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_own_options(parser, service.cls)
    add_options(parser, default_port=service.port)
    add_showing(parser)


def run(options: argparse.Namespace) -> int:
    """Serve it; see the exit status above."""
    with make_server(options) as server:
        return show([server], options, header=_header(_service(options), server))


def make_server(options: argparse.Namespace) -> FakeServer:
    """The server that the options ask for, not started yet.

    Raises:
        ScenarioError: they make no sense together.
        FakeServerError: TLS is wanted, and trustme is not installed.
    """
    kind = _service(options).cls
    server = kind(**own_arguments(kind, options), **arguments_of(options))
    if options.service == "http":
        server.route("*")(_echo)
    return server


def _service(options: argparse.Namespace) -> Service:
    return next(service for service in SERVICES if service.name == options.service)


def _echo(request: Request) -> Response:
    from fake_servers import Response

    given = request.headers.get("Content-Type", "")
    is_readable = given and given.isascii() and given.isprintable()  # whatever was sent, it is answered
    return Response(request.body, content_type=given if is_readable else "text/plain")


def _header(service: Service, server: FakeServer) -> list[str]:
    address = server.url.partition("://")[2]
    use = [line.format(url=server.url, address=address) for line in service.use]
    return [f"{type(server).__name__} at {server.url}", *use, *trust_lines(server)]
