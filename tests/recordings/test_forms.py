"""A recording is read back equal from its file, and what is wrong in one is told in one line."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_servers import Connection, Exchange, Injection, Scenario, ScenarioError, latency
from fake_servers.faults import Refuse, Reset, Stall, Status
from fake_servers.makings import Told
from fake_servers.records import Answered, Closer, Outcome
from pytest_httpconc.recordings.forms import Hold, RecordedFinding, RecordedServer, Recording, dump, load

INSTANTS = st.none() | st.floats(0, 1e6)
NAMES = st.binary(min_size=1, max_size=9)
ANSWERS = st.builds(
    Answered,
    status=st.integers(200, 599),
    headers=st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=2).map(tuple),
    parts=st.lists(st.tuples(st.floats(0, 9), st.binary(max_size=9)), max_size=3).map(tuple),
    is_stream=st.booleans(),
    is_whole=st.booleans(),
)
EXCHANGES = st.builds(
    Exchange,
    number=st.integers(1, 9),
    connection=st.integers(1, 9),
    method=st.sampled_from(["GET", "POST", ""]),
    target=st.text() | st.just("/\udcff"),
    raw_headers=st.lists(st.tuples(NAMES, NAMES), max_size=3).map(tuple),
    body=st.binary(max_size=99),
    body_digest=st.none() | st.binary(min_size=8, max_size=8),
    begun_at=st.floats(0, 1e6),
    received_at=INSTANTS,
    ended_at=INSTANTS,
    status=st.none() | st.integers(200, 599),
    fault=st.sampled_from([None, Reset(after_bytes=3), Stall(), Status(503, body=b"\xff")]),
    latency=st.floats(0, 9),
    answer=st.none() | ANSWERS,
    outcome=st.sampled_from(list(Outcome)),
)
CONNECTIONS = st.builds(
    Connection,
    number=st.integers(1, 9),
    peer=st.sampled_from([("127.0.0.1", 40001), ("unix", 3)]),
    closed_at=INSTANTS,
    closed_by=st.none() | st.sampled_from(list(Closer)),
    fault=st.sampled_from([None, Reset()]),
)
SERVERS = st.builds(
    RecordedServer,
    kind=st.just("FakeServer"),
    port=st.integers(0, 65535),
    arguments=st.dictionaries(st.text(), st.none() | st.floats(0, 1) | st.text()),
    told=st.lists(st.builds(Told, st.text(), st.dictionaries(st.text(), st.integers())), max_size=2).map(tuple),
    scenario=st.builds(lambda seed: Scenario([Injection(latency=latency.uniform(0, 1))], seed=seed), st.integers()),
    holds=st.just((Hold(on="GET /x", until_in_flight=2, give_up=0.5),)),
    listener=st.just(((2, Refuse(0.5)),)),
    routes=st.just(("GET /x",)),
    connections=st.lists(CONNECTIONS, max_size=2).map(tuple),
    exchanges=st.lists(EXCHANGES, max_size=3).map(tuple),
)
RECORDINGS = st.builds(
    Recording,
    test=st.text(),
    findings=st.lists(st.builds(RecordedFinding, code=st.just("HC101"), statement=st.text(), summary=st.text())).map(
        tuple
    ),
    servers=st.lists(SERVERS, max_size=2).map(tuple),
)


@settings(max_examples=40, deadline=None)
@given(recording=RECORDINGS)
def test_recording_is_read_back_from_its_file_equal(tmp_path_factory, recording):
    path = tmp_path_factory.getbasetemp() / "recording.json"
    path.write_text(dump(recording))
    assert load(path) == recording


WRONG = {
    "nothing": "this is not JSON",
    '{\n"format": 1,\n"servers": [,]}': r"json:3: this is not JSON",
    "[]": "is no recording: it has no servers; a failing test leaves one in .httpconc/",
    '{"test": "x"}': "is no recording: it has no servers",
    '{"format": 9, "servers": []}': "format: format=9 is not known; allowed is 1; a later version",
    '{"test": "x", "servers": [{"kind": "FakeServer", "prot": 1}]}': r"servers\[0\].prot: .*did you mean 'port'",
    '{"test": "x", "servers": [{"kind": "FakeServer", "exchanges": [{}]}]}': r"exchanges\[0\]: .*'number'",
    '{"test": "x", "servers": [{"kind": "FakeServer", "listener": [[1]]}]}': "has 1 parts and not 2",
    '{"test": "x", "servers": [{"kind": "FakeServer", "connections": [{"number": 1, "closed_by": "X"}]}]}': (
        "closed_by='X' is not known; allowed are CLIENT_FIN"
    ),
}


@pytest.mark.parametrize(("text", "problem"), WRONG.items())
def test_what_is_wrong_in_a_file_is_told_in_one_line(tmp_path, text, problem):
    path = tmp_path / "recording.json"
    path.write_text(text)
    with pytest.raises(ScenarioError, match=problem) as raised:
        load(path)
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value)


def test_file_that_cannot_be_read_is_told(tmp_path):
    with pytest.raises(ScenarioError, match=r"missing\.json can't be read: No such file"):
        load(tmp_path / "missing.json")
    (tmp_path / "bytes.json").write_bytes(b"\xff")
    with pytest.raises(ScenarioError, match=r"bytes\.json can't be read: it is not UTF-8 at byte 0"):
        load(tmp_path / "bytes.json")


def test_file_says_what_happened_in_so_many_words(tmp_path):
    exchange = Exchange(
        number=1, connection=1, method="GET", target="/x", fault=Reset(), outcome=Outcome.ENDED_BY_FAULT
    )
    data = json.loads(dump(Recording(test="a", servers=(RecordedServer(kind="FakeServer", exchanges=(exchange,)),))))
    assert data["format"] == 1
    assert data["servers"][0]["scenario"] == {"seed": 0}
    assert data["servers"][0]["exchanges"][0] == {
        "number": 1,
        "connection": 1,
        "sequence": 1,
        "method": "GET",
        "target": "/x",
        "fault": {"kind": "Reset", "at": "EXECUTED"},
        "outcome": "ENDED_BY_FAULT",
    }
