"""Faults and latencies in one line."""

import pytest
from hypothesis import given, settings

from fake_servers import Moment, ScenarioError
from fake_servers.faults import Disconnect, Malformed, Reset, Status, WrongLength
from fake_servers.latency import Fixed, Lognormal, Uniform
from fake_servers.phrases import read_fault, read_latency
from fake_servers.plain import to_plain
from pytest_httpconc import strategies


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("Disconnect(at=EXECUTED)", Disconnect(at=Moment.EXECUTED)),
        ("Disconnect(at=Moment.REQUEST_HEAD)", Disconnect(at=Moment.REQUEST_HEAD)),
        ("faults.Reset(after_bytes=17)", Reset(after_bytes=17)),
        ("reset", Reset()),
        ("Status:503", Status(503)),
        ("Status(503, {'Retry-After': '2'}, body=b'\\xff')", Status(503, {"Retry-After": "2"}, body=b"\xff")),
        ("WrongLength(-5)", WrongLength(-5)),
        ("Malformed:chunk", Malformed("chunk")),
    ],
)
def test_fault_is_read_as_it_is_written_in_python(text, fault):
    assert read_fault(text) == fault


@pytest.mark.parametrize("fault", [Disconnect(at=Moment.IDLE), Reset(after_bytes=3), Status(429), WrongLength(3)])
def test_fault_is_read_as_it_is_printed(fault):
    assert read_fault(str(fault)) == fault


@given(fault=strategies.faults())
@settings(max_examples=60)
def test_any_fault_has_its_line(fault):
    plain = to_plain(fault)
    kind = plain.pop("kind")
    assert read_fault(f"{kind}({', '.join(f'{name}={value!r}' for name, value in plain.items())})") == fault


@pytest.mark.parametrize(
    ("text", "latency"),
    [
        ("0.05", Fixed(0.05)),
        ("lognormal:median=0.05,sigma=0.4", Lognormal(0.05, 0.4)),
        ("Uniform(0, high=1)", Uniform(0, 1)),
    ],
)
def test_latency_is_seconds_or_a_distribution(text, latency):
    assert read_latency(text) == latency


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("Diskonnect", "allowed are Disconnect, .* did you mean 'Disconnect'?"),
        ("Disconnect(att=EXECUTED)", "'att' in Disconnect is not known; allowed are after_bytes, after_events, at"),
        ("Disconnect(at=NEVER)", "at='NEVER' is not known; allowed are ACCEPT"),
        ("Status()", "Status needs 'status'"),
        ("Status(99)", "99"),
        ("Reset(1)", "Reset takes its arguments by name alone"),
        ("Status(503, {}, b'', 4)", "Status takes status, headers, body, in this order; it was given 4"),
        ("Status(status=503, status=504)", "can't be read"),
        ("Status(400 + 103)", "can't be read"),
        ("Status(int('503'))", "can't be read"),
        ("Status(503", "can't be read; write it as in 'Disconnect"),
        ("503", "can't be read"),
        ("", "can't be read"),
        ("Status(" + "0" * 2000 + ")", "can't be read"),
    ],
)
def test_what_is_no_fault_is_told(text, problem):
    with pytest.raises(ScenarioError, match=problem):
        read_fault(text)


def test_nothing_that_is_given_is_run():
    with pytest.raises(ScenarioError, match="fault 'system' is not known"):
        read_fault("__import__('os').system('true')")


@pytest.mark.parametrize("text", ["50ms", "-1", "nan", "normal", "1 + 1", "[0.1]"])
def test_what_is_no_latency_is_told(text):
    with pytest.raises(ScenarioError):
        read_latency(text)
