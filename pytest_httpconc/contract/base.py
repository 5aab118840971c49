"""What a user says of a client, and what every test of the contract is given."""

from __future__ import annotations

import inspect
import math
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any, ClassVar, Final

import pytest

from fake_servers import FakeServer, Request, Response, ScenarioError
from fake_servers.routing import Pattern
from pytest_httpconc.assertions import HttpConc
from pytest_httpconc.contract.making import Maker
from pytest_httpconc.contract.selection import waits_for_a_timeout
from pytest_httpconc.contract.trial import Trial

__all__ = ["Contract"]

_ALIKE: Final = 0.85  # of 1, by difflib: read_timout is a misspelt read_timeout, and timeout is not
_TIMEOUTS: Final = ("connect_timeout", "read_timeout", "total_timeout")


class Contract:
    """The part of a contract that a user fills in: the client, the call, and what is meant to hold.

    Attributes:
        on: which requests are the client's calls, as ``"METHOD /path"``.
        path: of the ``url`` that `call` is given, on `server`.
        idempotent: whether calls may be sent again, as the server takes them for one.
        reuses_connections: whether calls one after the other are to share a connection.
        max_connections: the limit of the client's pool; not checked where None.
        connect_timeout: seconds that connecting may take; not checked where None.
        read_timeout: seconds that each wait for a part of the answer may take; not checked where None.
        total_timeout: seconds that a whole call may take; not checked where None.
        short_timeout: seconds that these timeouts are set to, on ``self``, in the tests that wait for one to fire: for
            a fixture and a call that take them from ``self``, as in ``timeout=self.read_timeout``.
        longest_wait: seconds that a test may wait, in real time, for a timeout to fire.
        retry_statuses: statuses whose retry is meant.
        strict_headers: whether an answer with a header line that is none is to be refused; many clients pass over it.
        concurrency: how many calls run together; 1 for a client that is not to be shared.
        truncations: after how many of its bytes an answer is cut, seeded points where that is not all of them (each is
            two calls on a client of its own); after each where None.
        only: the number of a step of the sweeps, to be run alone while a bug is looked for.
        patience: seconds after which a call that has not ended is taken for hung.
        known: what is known to be broken, by test (its name, with or without parameters) and code, with the reason:
            ``{"test_every_truncation": {"HC601": "reads no length"}}``. Such a test must fail, with just these codes.
    """

    on: ClassVar[str] = "POST /**"
    path: ClassVar[str] = "/call"
    idempotent: ClassVar[bool] = False
    reuses_connections: ClassVar[bool] = True
    max_connections: ClassVar[int | None] = None
    connect_timeout: ClassVar[float | None] = None
    read_timeout: ClassVar[float | None] = None
    total_timeout: ClassVar[float | None] = None
    short_timeout: ClassVar[float | None] = None
    longest_wait: ClassVar[float] = 2.0
    retry_statuses: ClassVar[Collection[int]] = frozenset()
    strict_headers: ClassVar[bool] = False
    concurrency: ClassVar[int] = 10
    truncations: ClassVar[int | None] = None
    only: ClassVar[int | None] = None
    patience: ClassVar[float] = 10.0
    known: ClassVar[Mapping[str, Mapping[str, str]]] = {}

    def call(self, client: Any, url: str, payload: dict[str, str]) -> Any:
        """Make one call, and return its answer; it may be ``async def``. To be written by the user.

        Args:
            client: what the fixture ``client`` has made.
            url: where to.
            payload: to be sent as JSON; the answer contains it.
        """
        raise NotImplementedError

    def is_error(self, answer: Any) -> bool:
        """Whether what `call` has returned tells of a failure; for clients that return errors in place of raising."""
        return False

    def is_answer(self, answer: Any, payload: dict[str, str]) -> bool:
        """Whether what `call` has returned is the answer to this payload: here, whether its nonce is in it."""
        return payload["nonce"] in repr(answer)

    @pytest.fixture
    def server(self, fake_http: FakeServer) -> FakeServer:
        """The server that is called: here, one that sends back the JSON that it gets."""

        @fake_http.route("*")
        def echo(request: Request) -> Response:
            return Response(request.body, headers={"Content-Type": "application/json"})

        return fake_http

    @pytest.fixture
    def trial(self, request: pytest.FixtureRequest, server: FakeServer, httpconc: HttpConc) -> Trial:
        """The server, the client and the checks, as the tests of the contract use them."""
        if waits_for_a_timeout(request.function) and self.short_timeout is not None:
            for name in _TIMEOUTS:
                if getattr(self, name) is not None:
                    setattr(self, name, self.short_timeout)
        return Trial(self, server=server, httpconc=httpconc, maker=Maker.of_test(request))

    # -- what the tests ask -------------------------------------------------------------------------------

    @classmethod
    def is_async(cls) -> bool:
        """Whether a call is a coroutine."""
        return inspect.iscoroutinefunction(cls.call)

    @classmethod
    def together(cls) -> int:
        """How many calls can be in flight together."""
        return min(cls.concurrency, cls.max_connections or cls.concurrency)

    @classmethod
    def check_limits(cls) -> None:
        """Make sure that what the user has said can be meant.

        Raises:
            ScenarioError: something can't, or `call` is missing.
        """
        if cls.call is Contract.call:
            raise ScenarioError(
                f"{cls.__name__} has no method call; write 'def call(self, client, url, payload):', or 'async def', "
                "which posts the payload as JSON and returns the decoded answer"
            )
        _check_names(cls)
        Pattern.parse(cls.on)
        for name in (*_TIMEOUTS, "short_timeout"):
            _check(cls, name, f"None and seconds above 0, as in {name} = 1.5", optional=True)
        for name in ("longest_wait", "patience"):
            _check(cls, name, f"seconds above 0, as in {name} = 2.0")
        for name in ("max_connections", "truncations", "only"):
            _check(cls, name, f"None and whole numbers from 1 up, as in {name} = 10", int, True)
        _check(cls, "concurrency", "whole numbers from 1 up, as in concurrency = 10", int)
        _check_known(cls)


def _check_names(contract: type[Contract]) -> None:
    """Refuse what was meant for an attribute of a contract and would say nothing."""
    known = Contract.__annotations__
    own = (name for base in contract.__mro__ if not issubclass(Contract, base) for name in vars(base))
    for name in own:
        if name not in known and not hasattr(Contract, name):
            meant = get_close_matches(name, known, n=1, cutoff=_ALIKE)
            if meant:
                raise ScenarioError(
                    f"{contract.__name__} has {name}, which no contract knows; did you mean {meant[0]}?"
                )


def _check(
    contract: type, name: str, allowed: str, kind: type[int] | type[float] = float, optional: bool = False
) -> None:
    value: Any = getattr(contract, name)
    if optional and value is None:
        return
    if not isinstance(value, (int, kind)) or isinstance(value, bool) or not 0 < value < math.inf:
        raise ScenarioError(f"{contract.__name__} has {name} = {value!r}; allowed are {allowed}")


def _check_known(contract: type[Contract]) -> None:
    from pytest_httpconc.findings import CATALOGUE

    for test, codes in contract.known.items():
        if not hasattr(contract, test.partition("[")[0]):
            raise ScenarioError(f"{contract.__name__} has known = {{{test!r}: ...}}, which is none of its tests")
        unknown = sorted(set(codes) - set(CATALOGUE)) if isinstance(codes, Mapping) else [repr(codes)]
        if unknown or not codes:
            example = '{"HC601": "reads no length"}'
            raise ScenarioError(f"known[{test!r}] of {contract.__name__} needs codes with reasons, as in {example}")
