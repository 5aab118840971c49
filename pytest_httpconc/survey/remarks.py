"""What surprises in the tables, each remark with the cells that show it: it is made only of clients that do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pytest_httpconc.survey.results import Survey

__all__ = ["REMARKS", "Remark", "remarks_on"]


_STALE_POST: Final = "POST: FIN at the next request's first byte"
_STALE_GET: Final = "GET: FIN at the next request's first byte"
_TRICKLE: Final = "POST: a trickle that outlasts the timeout"


@dataclass(frozen=True, slots=True)
class Remark:
    """Something worth knowing.

    Args:
        text: what it is; ``{clients}`` are those that it is true of.
        is_true_of: whether a client's survey shows it.
    """

    text: str
    is_true_of: Callable[[Survey], bool]


def remarks_on(surveys: Sequence[Survey]) -> Iterator[str]:
    """The remarks that are true of at least one client, with those of which they are."""
    for remark in REMARKS:
        clients = [survey.client for survey in surveys if remark.is_true_of(survey)]
        if clients:
            yield remark.text.format(clients=_listed(clients))


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _outcomes(survey: Survey, *names: str) -> set[str]:
    return {survey.default[name].outcome for name in names}


def _stream_outcome(survey: Survey, fault: str) -> str | None:
    cell = survey.default.get(f"stream: {fault}")
    return None if cell is None else cell.outcome


def _empty_success(survey: Survey) -> bool:
    headers = survey.default["POST: FIN in the headers"].outcome, survey.default["POST: RST in the headers"].outcome
    return headers[0] == "200, empty" and not headers[1].startswith("200")


def _empty_is_no_json(survey: Survey) -> bool:
    return survey.default["POST: FIN in the headers"].outcome == "JSONDecodeError"


def _header_accepted(survey: Survey) -> bool:
    return survey.default["POST: malformed header"].outcome == "200"


def _post_executed_again(survey: Survey) -> bool:
    again = ("POST: FIN after execution", "POST: RST after execution", "POST: silence after execution")
    return all(survey.default[name].executions == 3 for name in again)


def _only_get_executed_again(survey: Survey) -> bool:
    reused = survey.default["GET: FIN after execution, connection reused"].executions
    fresh = survey.default["GET: FIN after execution"].executions
    return min(fresh, reused) > 1 == survey.default["POST: FIN after execution"].executions


def _executed_again_without_retries(survey: Survey) -> bool:
    return any(cell.executions > 1 for cell in survey.unretried.values())


def _stale_get_saved(survey: Survey) -> bool:
    return survey.default[_STALE_GET].outcome == "200" != survey.default[_STALE_POST].outcome


def _stale_fails(survey: Survey) -> bool:
    stale = [survey.default[name] for name in (_STALE_POST, _STALE_GET)]
    return all(cell.outcome != "200" and not cell.executions for cell in stale)


def _stale_post_saved(survey: Survey) -> bool:
    return survey.default[_STALE_POST].outcome == "200" != survey.unretried[_STALE_POST].outcome


def _sees_fin(survey: Survey) -> bool:
    return _outcomes(survey, "POST: FIN while idle", "POST: RST while idle", "GET: FIN while idle") == {"200"}


def _waits_for_ever(survey: Survey) -> bool:
    return survey.waits.connect == survey.waits.read == "none"


def _outlasted(survey: Survey) -> bool:
    return survey.default[_TRICKLE].outcome == "200"


def _ends_a_trickle(survey: Survey) -> bool:
    return survey.default[_TRICKLE].outcome != "200" and survey.waits.total.endswith(" s")


def _leaks_when_cancelled(survey: Survey) -> bool:
    return survey.cancelled is not None and any(found.startswith("HC701") for found in survey.cancelled.found)


def _spoiled_by_excess(survey: Survey) -> bool:
    return survey.default["POST: body 5 bytes longer than declared"].usable != "yes"


def _leaves_no_socket(survey: Survey) -> bool:
    return not any(cell.left or cell.leaked for cells in (survey.default, survey.unretried) for cell in cells.values())


def _raw_error_in_stream(survey: Survey) -> bool:
    broken, malformed = (_stream_outcome(survey, f) for f in ("FIN after 2 events", "second event malformed"))
    return broken == "RemoteProtocolError" and malformed == "JSONDecodeError"


def _unended_stream_accepted(survey: Survey) -> bool:
    return _stream_outcome(survey, "FIN after all events, body not ended") == "200"


def _stream_cut_accepted(survey: Survey) -> bool:
    return _stream_outcome(survey, "last event missing") == "200"


def _event_counted_twice(survey: Survey) -> bool:
    return _stream_outcome(survey, "fifth event twice") == "200, too long"


def _stream_not_resent(survey: Survey) -> bool:
    cell = survey.default.get("stream: FIN after 2 events")
    return cell is not None and cell.requests == 1


REMARKS: Final = (
    Remark(
        "**A response cut in its headers passes for a success** with {clients}: where FIN comes before the headers say "
        "how long the body is, there is a 200 with an empty one. With RST in the same place the call fails.",
        _empty_success,
    ),
    Remark(
        "**The same cut is an error of the JSON parser** with {clients}: that the answer has to be JSON gives it away.",
        _empty_is_no_json,
    ),
    Remark(
        "**A header line without a colon is passed over** by {clients}: the response counts.",
        _header_accepted,
    ),
    Remark(
        "**A POST that was executed is sent again** by {clients} with default settings, after FIN, RST and a timeout: "
        "three executions for one call. A loop of one's own around it multiplies them.",
        _post_executed_again,
    ),
    Remark(
        "**A GET that was executed is sent again, and a POST is not,** by {clients}, on a fresh connection as on a "
        "reused one.",
        _only_get_executed_again,
    ),
    Remark(
        "**Something is executed twice with the settings without retries too** by {clients}: closing each connection "
        "after its call spares it stale ones, but its resend of a GET stays.",
        _executed_again_without_retries,
    ),
    Remark(
        "**A stale connection costs a POST and not a GET** with {clients}: the GET is sent again on a fresh one.",
        _stale_get_saved,
    ),
    Remark(
        "**A stale connection costs the call, whatever its method,** with {clients}: nothing was executed, and nothing "
        "is sent again.",
        _stale_fails,
    ),
    Remark(
        "**Retries do save a POST from a stale connection** with {clients}; without them it fails. They can't tell it "
        "from one that was executed.",
        _stale_post_saved,
    ),
    Remark(
        "**FIN or RST that has arrived while a connection was idle is seen** by {clients}: the next request goes out "
        "on a new connection. What is left is the server that closes when the next request is on its way.",
        _sees_fin,
    ),
    Remark("**There is no timeout at all** in {clients}: a silent server holds a call for ever.", _waits_for_ever),
    Remark(
        "**A trickle outlasts the timeout** of {clients}: it is one of each wait, and every byte begins a new one.",
        _outlasted,
    ),
    Remark("**A trickle is ended** by {clients}: the timeout is one of the whole call.", _ends_a_trickle),
    Remark(
        "**A cancelled call leaves a connection open** in {clients}, over and above those that undisturbed calls leave "
        "to the pool; the table of sweeps has the step.",
        _leaks_when_cancelled,
    ),
    Remark(
        "**What a response has too much of spoils the next call** with {clients}; the one after it succeeds.",
        _spoiled_by_excess,
    ),
    Remark(
        "**No fault leaves a socket behind** with {clients}, neither beside the next call nor when it is closed.",
        _leaves_no_socket,
    ),
    Remark(
        "**A stream is not asked for again** by {clients} once it has begun, with default settings.", _stream_not_resent
    ),
    Remark(
        "**A stream that breaks off raises an exception of the HTTP library's** with {clients}, and not one of the "
        "SDK's own: code that catches `APIError` alone misses it. A malformed event is json's `JSONDecodeError`.",
        _raw_error_in_stream,
    ),
    Remark(
        "**A stream whose last event is missing passes for a success** with {clients}.",
        _stream_cut_accepted,
    ),
    Remark(
        "**A stream whose body is not ended passes for a success** with {clients}, if all its events have come.",
        _unended_stream_accepted,
    ),
    Remark("**An event that comes twice counts twice** with {clients}.", _event_counted_twice),
)
