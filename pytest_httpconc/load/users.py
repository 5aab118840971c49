"""`ContractUser`: a user of locust's who calls what a contract calls, on the client that its fixture makes."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import locust
from gevent.lock import RLock

from fake_servers import FakeServer, ScenarioError
from pytest_httpconc.contract import ClientContract
from pytest_httpconc.contract.making import Maker
from pytest_httpconc.load.clients import opened
from pytest_httpconc.load.judging import Declared
from pytest_httpconc.load.marks import Mark
from pytest_httpconc.load.serving import fixtures_at

if TYPE_CHECKING:
    from locust.env import Environment

__all__ = ["ContractUser", "MixedAnswer"]


class ReturnedError(Exception):
    """What a call has returned is an error in the eyes of its contract."""


class MixedAnswer(Exception):
    """What a call has returned is not its own answer in the eyes of its contract (HC501)."""


class ContractUser(locust.User):
    """Calls the client of a contract, again and again, after each ``wait_time``.

    Attributes:
        contract: the class of the contract, with its fixture ``client``, its ``call`` and its limits.
        server: the fake server that is under load, made with ``host="process"``; the master starts it. Where it is not
            said, and no host is, the one that the contract's fixture ``server`` makes.
        shares_client: whether all users of a process call on one client, as the tasks of a service do. Else each has
            its own.
        min_concurrency: calls that must have been in flight together, on all machines; not checked where None.
        ignore: codes of findings to pass over; HC101, HC102 and HC501, which belong to no class, where all classes do.
    """

    abstract = True
    contract: ClassVar[type[ClientContract]]
    server: ClassVar[FakeServer | None] = None
    shares_client: ClassVar[bool] = False
    min_concurrency: ClassVar[int | None] = None
    ignore: ClassVar[tuple[str, ...]] = ()

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._calling: _Calling | None = None
        self._leave: Callable[[], None] | None = None

    def on_start(self) -> None:
        if self.shares_client:
            shared = _shared_by(type(self))
            self._calling, self._leave = shared.enter(), shared.leave
        else:
            self._calling = _Calling(type(self))
            self._leave = self._calling.close

    def on_stop(self) -> None:
        self._calling = None
        if self._leave is not None:
            self._leave()

    @locust.task
    def call(self) -> None:
        """Make one call, and tell locust of it."""
        assert self._calling is not None, "a user calls when it has been started"
        began_at, error = time.time(), None
        begun = time.perf_counter()
        try:
            self._calling.call()
        except Exception as raised:  # noqa: BLE001 -- locust tells of it
            error = raised
        self.environment.events.request.fire(
            request_type="call",
            name=self.contract.__name__,
            response_time=(time.perf_counter() - begun) * 1000,
            response_length=0,
            start_time=began_at,
            exception=error,
            context=self.context(),
        )

    @classmethod
    def declared(cls) -> Declared:
        """What is meant to hold when the run has ended.

        Raises:
            ScenarioError: the contract can't be used.
        """
        contract = getattr(cls, "contract", None)
        if not isinstance(contract, type) or not issubclass(contract, ClientContract):
            raise ScenarioError(f"{cls.__name__} has no contract; write 'contract = TestMyClient', a ClientContract")
        contract.check_limits()
        Maker.without_pytest(contract(), fixtures_at("http://nowhere"))
        return Declared(
            user=cls.__name__,
            on=contract.on,
            idempotent=contract.idempotent,
            retry_statuses=contract.retry_statuses,
            max_connections=contract.max_connections,
            reuses=contract.reuses_connections,
            one_at_a_time=not cls.shares_client,
            min_concurrency=cls.min_concurrency,
            ignore=cls.ignore,
        )


class _Calling:
    """A client, and calls on it that show whose they are."""

    def __init__(self, user: type[ContractUser]) -> None:
        assert user.host is not None, "who watches the run has said where the server is"
        self._contract = user.contract()
        self._url = user.host.rstrip("/") + self._contract.path
        maker = Maker.without_pytest(self._contract, fixtures_at(user.host))
        self._client = opened(maker, in_loop=self._contract.is_async() or maker.is_async)
        self._mark = Mark(user.__name__)
        self.close = self._client.close

    def call(self) -> None:
        """Make one call.

        Raises:
            ReturnedError: it has returned one.
            MixedAnswer: it has returned another's answer.
        """
        payload = {"nonce": self._mark.next()}
        answer: Any = self._client.call(lambda client: self._contract.call(client, self._url, payload))
        if self._contract.is_error(answer):
            raise ReturnedError(repr(answer))
        if not self._contract.is_answer(answer, payload):
            raise MixedAnswer("an answer without the nonce of its call")


class _Shared:
    """A client for all users of a class, made with the first and closed with the last."""

    def __init__(self, user: type[ContractUser]) -> None:
        self._user = user
        self._lock = RLock()
        self._users = 0
        self._calling: _Calling | None = None

    def enter(self) -> _Calling:
        with self._lock:
            self._calling = self._calling or _Calling(self._user)
            self._users += 1
            return self._calling

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users and self._calling is not None:
                calling, self._calling = self._calling, None
                calling.close()


@cache
def _shared_by(user: type[ContractUser]) -> _Shared:
    return _Shared(user)
