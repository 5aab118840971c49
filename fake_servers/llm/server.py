"""`FakeLLMServer`: a model server that speaks its providers' protocols, and takes the time that one takes."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Any, Final
from urllib.parse import unquote

from fake_servers import latency
from fake_servers.crossing import asked, told
from fake_servers.errors import ScenarioError
from fake_servers.http import Request, Response, Stream
from fake_servers.latency import Latency
from fake_servers.llm.access import Access
from fake_servers.llm.anthropic import AnthropicMessages, input_tokens
from fake_servers.llm.dialect import Dialect
from fake_servers.llm.embeddings import Embeddings
from fake_servers.llm.errors import Refused, error_response, id_header, invalid, provider_of, refusal
from fake_servers.llm.generation import Generation, Rules
from fake_servers.llm.limits import RateLimits
from fake_servers.llm.models import Models, described
from fake_servers.llm.openai_chat import OpenAIChat
from fake_servers.llm.openai_completions import OpenAICompletions
from fake_servers.llm.openai_responses import OpenAIResponses
from fake_servers.llm.openrouter import OpenRouterChat
from fake_servers.llm.orders import Finish
from fake_servers.llm.pacing import Speed
from fake_servers.llm.reading import decode
from fake_servers.llm.scripts import Match, Script, ToolCall, check_count, read_calls
from fake_servers.makings import kept, made
from fake_servers.server import FakeServer
from fake_servers.slots import Slot, Slots
from fake_servers.validation import Invalid

__all__ = ["FakeLLMServer"]

_DIALECTS: Final[dict[str, Dialect]] = {
    "POST /v1/chat/completions": OpenAIChat(),
    "POST /v1/completions": OpenAICompletions(),
    "POST /v1/responses": OpenAIResponses(),
    "POST /v1/embeddings": Embeddings(),
    "POST /v1/messages": AnthropicMessages(),
    "POST /api/v1/chat/completions": OpenRouterChat(),
}


class FakeLLMServer(FakeServer):
    """A model server that echoes, or says what its scripts say, as OpenAI, Anthropic and OpenRouter would.

    A request waits for a slot in order of arrival, then takes its time to first token and, for each further
    token, the inter-token latency; all choices of a request grow together. A token is a word with the space
    before it. Text, ids and vectors follow from the seed and the order of arrival.

    Args:
        ttft: time to first token, in seconds or as a distribution.
        itl: inter-token latency, likewise.
        max_num_seqs: how many requests run at a time, 1 or more; the others queue. None for all.
        slowdown: each further request that runs makes the steps of all longer by this part, from 0 up:
            at 0.1, eleven run at half speed.
        single_threaded: one request at a time, as with ``max_num_seqs=1``.
        requests_per_minute: beyond which requests are answered 429; they may come in a burst.
        tokens_per_minute: likewise, of input and output together.
        api_keys: the keys that are accepted, as bearer or in ``x-api-key``; None for any key or none.
        models: the models there are, others are 404; None for any name.
        tokens: the length of seeded text, 1 or more, to be answered in place of the echo.
        options: as for `FakeServer`.

    Raises:
        ScenarioError: an argument is out of range.
    """

    @made
    def __init__(
        self,
        *,
        ttft: float | Latency = 0.0,
        itl: float | Latency = 0.0,
        max_num_seqs: int | None = None,
        slowdown: float = 0.0,
        single_threaded: bool = False,
        requests_per_minute: int | None = None,
        tokens_per_minute: int | None = None,
        api_keys: Collection[str] | None = None,
        models: Collection[str] | None = None,
        tokens: int | None = None,
        **options: Any,
    ) -> None:
        if not isinstance(slowdown, (int, float)) or isinstance(slowdown, bool) or not 0 <= slowdown < math.inf:
            raise ScenarioError(f"slowdown={slowdown!r} is out of range; allowed are numbers from 0 up, as in 0.1")
        check_count("tokens", tokens)
        speed = Speed(latency.of(ttft), latency.of(itl), slowdown)
        self._slot_count = _slot_count(max_num_seqs, single_threaded)
        self._per_minute = (requests_per_minute, tokens_per_minute)
        self._is_slowed_down = bool(slowdown)
        self._first_tokens = tokens
        super().__init__(**options)
        self._rules = Rules(Access(api_keys), Models(models), speed, self._service.sleep)
        self._generation = self._begun_anew()

    def _needs_one_process(self) -> str | None:
        if self._slot_count is None and self._per_minute == (None, None) and not self._is_slowed_down:
            return None
        return "each process would count its requests for itself, and slots, limits and the slowdown mean them all"

    def _begun_anew(self) -> Generation:
        slots = Slots(self._slot_count, name="max_num_seqs")
        limits = RateLimits(*self._per_minute, time_scale=self._service.time_scale)
        return Generation(self._rules, slots, limits, tokens=self._first_tokens, seed=self.scenario.seed)

    def _set_up(self) -> None:
        for on, dialect in _DIALECTS.items():
            self.route(on, queues=True)(self._generating(dialect))
        self.route("POST /v1/messages/count_tokens")(self._answering(self._count_tokens))
        for prefix in ("/v1", "/api/v1"):
            self.route(f"GET {prefix}/models")(self._answering(self._list_models))
            self.route(f"GET {prefix}/models/**")(self._answering(self._describe_model))
        self.route("GET /health")(self._health)

    # -- what it answers ----------------------------------------------------------------------------------

    @kept
    @told()
    def script(
        self,
        message: Match | None = None,
        *,
        model: Match | None = None,
        on: str = "*",
        text: str | None = None,
        tokens: int | None = None,
        tool_calls: Iterable[ToolCall] = (),
        finish_reason: Finish | None = None,
        status: int | None = None,
        error: str | None = None,
        after_events: int | None = None,
        times: int | None = None,
    ) -> None:
        """Have matching requests answered in set words; the first script that means a request acts.

        Args:
            message: the last message of the user or of a tool: the whole, or a compiled pattern that is
                searched for in it.
            model: likewise, the model's name.
            on: which requests, as ``"METHOD /path"``.
            text: what is answered; where neither text nor calls are given, what would be answered anyway.
            tokens: in place of ``text``, the length of seeded text.
            tool_calls: names and arguments, as in ``[("get_weather", {"city": "Paris"})]``; arguments that
                are a string are sent as they are, JSON or not.
            finish_reason: ``"stop"``, ``"length"``, ``"tool_calls"`` or ``"content_filter"``; each protocol
                has its own word for it.
            status: an error, 400 to 599, that is answered at once, without execution.
            error: what the error says.
            after_events: a stream begins, and after so many events fails with an event that tells ``status``.
            times: how often it acts at most.

        Raises:
            ScenarioError: a value is out of range, or the combination makes no sense.
        """
        self._check_count_over_workers(times)
        script = Script(
            message=message,
            model=model,
            on=on,
            text=text,
            tokens=tokens,
            tool_calls=read_calls(tool_calls),
            finish_reason=finish_reason,
            status=status,
            error=error,
            after_events=after_events,
            times=times,
        )
        self._generation.scripts = (*self._generation.scripts, script)

    @kept
    @told()
    def generate(self, tokens: int | None) -> None:
        """From now on, answer what no script means with seeded text of this length; None for the echo.

        Raises:
            ScenarioError: it is no length.
        """
        check_count("tokens", tokens)
        self._generation.tokens = tokens

    @asked(merge=lambda counts: sum(counts))
    def running(self) -> int:
        """How many requests have a slot."""
        return self._generation.slots.taken

    @asked(merge=lambda counts: sum(counts))
    def queued(self) -> int:
        """How many requests wait for one."""
        return self._generation.slots.waiting

    def _starting(self) -> None:
        fresh = self._begun_anew()
        self._generation.begin_on_another_clock(fresh.slots, fresh.limits)

    def _forget(self, *arguments: Any) -> None:
        super()._forget(*arguments)
        self._generation = self._begun_anew()

    def _describe_error(self, request: Request, status: int, message: str) -> Response:
        return error_response(request, status, message)

    # -- requests ------------------------------------------------------------------------------------------

    def _generating(self, dialect: Dialect) -> Callable[[Request], Awaitable[Response | Stream]]:
        return lambda request: self._generation.answer(dialect, request, self._has_slot)

    def _has_slot(self, request: Request, slot: Slot) -> None:
        self.begins(request, waited=slot.waited)

    def _answering(self, answer: Callable[[Request], dict[str, Any]]) -> Callable[[Request], Response]:
        def respond(request: Request) -> Response:
            try:
                self._rules.access.check(request)
                return Response.json(answer(request), headers=id_header(request))
            except Refused as refused:
                return refusal(request, refused)
            except Invalid as problem:
                return refusal(request, invalid(provider_of(request), problem))

        return respond

    def _count_tokens(self, request: Request) -> dict[str, Any]:
        return {"input_tokens": input_tokens(decode(request))}

    def _list_models(self, request: Request) -> dict[str, Any]:
        return self._rules.models.listed(provider_of(request))

    def _describe_model(self, request: Request) -> dict[str, Any]:
        name = unquote(request.path.partition("/models/")[2])
        self._rules.models.check(name)
        return described(name, provider_of(request))

    def _health(self, request: Request) -> Response:
        state = {"running": self.running, "queued": self.queued, "slots": self._generation.slots.count}
        return Response.json({"status": "healthy", **state})


def _slot_count(max_num_seqs: int | None, single_threaded: bool) -> int | None:
    if not isinstance(single_threaded, bool):
        raise ScenarioError(f"single_threaded={single_threaded!r} is neither True nor False, as it has to be")
    if not single_threaded:
        return max_num_seqs
    if max_num_seqs is not None and max_num_seqs != 1:
        raise ScenarioError(
            f"max_num_seqs={max_num_seqs!r} makes no sense with single_threaded=True, which is 1; leave one out"
        )
    return 1
