"""Small versions of engine.py and llm.py, by their own code: rates beside another server's, fidelity, streams."""

import statistics

import engine
import llm
import load
import pytest
import servers

pytestmark = pytest.mark.benchmark

#: Of what the scripts require: these runs are short, and the machine may be busy.
SLACK = 0.5
#: Fewer than llm.py has: what is left of a busy machine keeps up with them.
STREAMS = 50


def test_rate_beside_aiohttp_web():
    rates = {engine.OURS: [], "aiohttp.web": []}
    with servers.running(engine.OURS) as (ours, _), servers.running("aiohttp.web") as (theirs, _):
        ports = dict(zip(rates, (ours, theirs), strict=True))
        for number in range(4):
            for kind, port in ports.items():
                rate = load.requests_per_second(port, connections=32, seconds=1)
                if number:  # the first round warms up
                    rates[kind].append(rate)
    ratio = statistics.median(ours / theirs for ours, theirs in zip(*rates.values(), strict=True))
    assert ratio >= SLACK * engine.REQUIRED["aiohttp.web"]


@pytest.mark.parametrize("count", [50, 500])
def test_concurrent_exchanges_take_as_long_as_one(count):
    with servers.running(engine.OURS, delay=0.5) as (port, _):
        load.makespan(port, 10)
        assert min(load.makespan(port, count) for _ in range(3)) <= 0.5 / SLACK


def test_events_of_many_streams_come_as_evenly_as_those_of_aiohttp_web():
    errors = {"FakeLLMServer": [], "aiohttp.web events": []}
    running = [servers.running(kind, delay=llm.SPACING) for kind in errors]
    with running[0] as (ours, _), running[1] as (theirs, _):
        for _ in range(3):
            for kind, port in zip(errors, (ours, theirs), strict=True):
                errors[kind].append(llm.spacing_errors(port, STREAMS)[0])
    ours, theirs = (min(found) for found in errors.values())
    assert ours <= theirs / SLACK + 0.001
