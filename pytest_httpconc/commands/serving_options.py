"""The options of whatever serves by hand: where, as fast as what, and what goes wrong."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

from fake_servers import Injection, Scenario
from fake_servers.phrases import read_fault, read_latency
from pytest_httpconc.commands.readings import port, reading

__all__ = ["EXAMPLE_OF_FAULTS", "add_options", "arguments_of", "scenario_of"]

EXAMPLE_OF_FAULTS: Final = "--fault 'Disconnect(at=EXECUTED)' --on 'POST /execute' --times 1"


def add_options(parser: argparse.ArgumentParser, *, default_port: int) -> None:
    """Give a command the options from which `arguments_of` makes a server's arguments.

    Args:
        parser: the command's.
        default_port: where it listens unless it is told; 0 for any port that is free.
    """
    where = parser.add_argument_group("where it serves")
    default = default_port or "any that is free"
    where.add_argument(
        "--port", type=port, default=default_port, help=f"1 to 65535, or 0 for any that is free (default: {default})"
    )
    where.add_argument("--address", default="127.0.0.1", help="the IPv4 address to listen on (default: %(default)s)")
    where.add_argument("--unix-socket", metavar="PATH", help="a unix socket to listen on as well")
    where.add_argument("--tls", action="store_true", help="speak HTTPS (the extra [tls])")
    where.add_argument(
        "--workers", type=int, metavar="N", help="serve from N processes on one port (default: a thread of this one)"
    )
    where.add_argument(
        "--time-scale", type=float, metavar="X", default=1.0, help="factor on all delays: at 0.01, 30 s take 0.3 s"
    )
    _add_scenario(parser)


def _add_scenario(parser: argparse.ArgumentParser) -> None:
    wrong = parser.add_argument_group(
        "what goes wrong",
        "--on, --times, --after and --probability are about the --fault or --delay that stands before them.",
    )
    wrong.add_argument("--scenario", type=Path, metavar="FILE", help="a scenario file, in TOML")
    wrong.add_argument("--seed", type=int, metavar="N", help="the start of all chance (default: the file's, or 0)")
    begins: dict[str, Any] = {"action": _Begin, "dest": "injections", "default": ()}
    wrong.add_argument(
        "--fault",
        **begins,
        type=reading(read_fault),
        metavar="FAULT",
        help="as in 'Disconnect(at=EXECUTED)', Status:503 or Reset; may be repeated",
    )
    wrong.add_argument(
        "--delay",
        **begins,
        type=reading(read_latency),
        metavar="SECONDS",
        help="or a distribution, as in lognormal:median=0.05,sigma=0.4; delays add up",
    )
    refines: dict[str, Any] = {"action": _Refine, "dest": "injections", "default": ()}
    wrong.add_argument("--on", **refines, metavar="'METHOD /path'", help="which requests (default: all)")
    wrong.add_argument("--times", **refines, type=int, metavar="N", help="how often at most (default: without end)")
    wrong.add_argument("--after", **refines, type=int, metavar="N", help="how many pass first (default: 0)")
    wrong.add_argument("--probability", **refines, type=float, metavar="P", help="above 0, up to 1 (default: 1)")


_FIELDS: Final = {"--fault": "fault", "--delay": "latency"}


class _Begin(argparse.Action):
    """A fault or a delay: one more injection."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        field = _FIELDS[self.option_strings[0]]
        namespace.injections = (*namespace.injections, {field: values})


class _Refine(argparse.Action):
    """Which requests the last injection means, and when."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        name = self.option_strings[0]
        if not namespace.injections:
            raise argparse.ArgumentError(
                self, f"there is no --fault or --delay before it that it is about; write {EXAMPLE_OF_FAULTS}"
            )
        *others, last = namespace.injections
        field = name.removeprefix("--")
        if field in last:
            raise argparse.ArgumentError(self, "it is given twice; each --fault and --delay takes it once")
        namespace.injections = (*others, {**last, field: values})


def scenario_of(options: argparse.Namespace) -> Scenario:
    """The scenario of the file, if there is one, and after it what the command line adds.

    Raises:
        ScenarioError: the file can't be read, or something makes no sense.
    """
    scenario = Scenario() if options.scenario is None else Scenario.from_toml(options.scenario)
    injections = [*scenario.injections, *(Injection(**given) for given in options.injections)]
    return Scenario(injections, seed=scenario.seed if options.seed is None else options.seed)


def arguments_of(options: argparse.Namespace) -> dict[str, Any]:
    """What a `FakeServer` is made with.

    Raises:
        ScenarioError: as `scenario_of`.
    """
    arguments = {name: getattr(options, name) for name in ("address", "port", "unix_socket", "tls", "time_scale")}
    if options.workers is not None:
        arguments.update(host="process", workers=options.workers)
    return {**arguments, "scenario": scenario_of(options)}
