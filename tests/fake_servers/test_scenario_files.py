"""Scenarios as files: what is written is read back equal, and what is wrong in one is told with its line."""

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_servers import (
    FakeDockerServer,
    FakeEvalServer,
    FakeLLMServer,
    FakeServer,
    Injection,
    Moment,
    Scenario,
    ScenarioError,
    faults,
    latency,
)
from fake_servers.faults import (
    AtListener,
    AtMoment,
    Disconnect,
    Fault,
    InEvents,
    Paced,
    Refuse,
    Stall,
    Status,
    WrongCertificate,
)
from fake_servers.plain import from_plain, to_plain

COUNTS = st.integers(0, 2**40)
SECONDS = st.floats(0, 1e6) | st.integers(0, 10**6)
ABOVE_0 = st.floats(1e-9, 1e6)
FIELDS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1)
OF_FIELD = {
    "seconds": SECONDS,
    "interval": ABOVE_0,
    "rate": ABOVE_0,
    "size": st.integers(1, 10**6),
    "delta": st.integers(-1000, -1) | st.integers(1, 1000),
    "part": st.sampled_from(["status", "header", "chunk", "garbage"]),
    "reason": st.sampled_from(["name", "expired", "untrusted"]),
    "event": st.just(-1) | st.integers(1, 99),
    "status": st.integers(300, 399),
    "headers": st.dictionaries(FIELDS, FIELDS) | st.lists(st.tuples(FIELDS, FIELDS)),
    "body": st.none() | st.binary() | st.text().map(str.encode),
    "location": FIELDS,
}
KINDS = [kind for kind in vars(faults).values() if isinstance(kind, type) and kind.__name__ in faults.__all__]
KINDS = [kind for kind in KINDS if dataclasses.is_dataclass(kind)]
PLACES = st.one_of(
    st.sampled_from([moment for moment in Moment if moment is not Moment.RESPONSE]).map(lambda at: {"at": at}),
    COUNTS.map(lambda count: {"after_bytes": count}),
    st.integers(-1, 99).map(lambda count: {"after_events": count}),
    st.just({}),
)
LATENCIES = st.one_of(
    SECONDS.map(latency.fixed),
    st.tuples(SECONDS, SECONDS).map(lambda pair: latency.uniform(min(pair), max(pair))),
    st.builds(latency.normal, SECONDS, SECONDS),
    st.builds(latency.lognormal, ABOVE_0, SECONDS),
    st.builds(latency.exponential, SECONDS),
    st.builds(latency.empirical, st.lists(SECONDS, min_size=1)),
)


@st.composite
def any_fault(draw):
    kind = draw(st.sampled_from(KINDS))
    settings = draw(PLACES) if issubclass(kind, AtMoment) else {}
    names = [field.name for field in dataclasses.fields(kind) if field.name in OF_FIELD]
    return kind(**settings, **{name: draw(OF_FIELD[name]) for name in names})


@st.composite
def injections(draw):
    fault = draw(st.none() | any_fault())
    if isinstance(fault, (AtListener, WrongCertificate)) or getattr(fault, "at", None) is Moment.ACCEPT:
        return Injection(fault=fault, after=draw(COUNTS))
    slow = draw(LATENCIES if fault is None else st.none() | LATENCIES)
    on = draw(st.sampled_from(["*", "POST /x", "* /v1/**", "GET /jobs/*"]))
    times, chance = draw(st.none() | st.integers(1, 99)), draw(st.floats(0, 1, exclude_min=True))
    return Injection(on=on, after=draw(COUNTS), times=times, probability=chance, latency=slow, fault=fault)


SCENARIOS = st.builds(lambda parts, seed: Scenario(parts, seed=seed), st.lists(injections(), max_size=4), st.integers())


def test_every_setting_of_every_fault_is_drawn_here():
    drawn = {"at", "after_bytes", "after_events", *OF_FIELD}
    assert {field.name for kind in KINDS for field in dataclasses.fields(kind)} <= drawn
    assert not {Paced, InEvents} & set(KINDS)


@settings(max_examples=40)
@given(SCENARIOS)
def test_scenario_is_read_back_from_its_file_equal(scenario):
    assert Scenario.from_toml(scenario.to_toml()) == scenario


@settings(max_examples=40)
@given(SCENARIOS)
def test_scenario_is_read_back_from_json_equal(scenario):
    assert from_plain(Scenario, json.loads(json.dumps(to_plain(scenario)))) == scenario


def test_file_is_written_as_a_person_would_write_it():
    scenario = Scenario(
        [
            Injection(on="POST /execute", fault=Disconnect(at=Moment.EXECUTED), times=1),
            Injection(latency=latency.lognormal(median=0.05, sigma=0.4), after=2),
            Injection(on="POST /execute", fault=Status(503, headers={"Retry-After": "2"}), probability=0.5),
        ],
        seed=7,
    )
    assert scenario.to_toml().splitlines() == [
        "format = 1",
        "seed = 7",
        "",
        "[[injections]]",
        'on = "POST /execute"',
        "times = 1",
        'fault = {kind = "Disconnect", at = "EXECUTED"}',
        "",
        "[[injections]]",
        "after = 2",
        'latency = {kind = "Lognormal", median = 0.05, sigma = 0.4}',
        "",
        "[[injections]]",
        'on = "POST /execute"',
        "probability = 0.5",
        'fault = {kind = "Status", status = 503, headers = [["Retry-After", "2"]]}',
    ]


def test_short_forms_are_read():
    text = 'injections = [{ latency = 1 }, { fault = "HalfClose" }, { fault = { kind = "Stall", seconds = 2 } }]'
    expected = [Injection(latency=1), Injection(fault=faults.HalfClose()), Injection(fault=Stall(seconds=2))]
    assert Scenario.from_toml(text) == Scenario(expected)


def test_headers_are_read_from_a_table_too():
    text = '[[injections]]\n[injections.fault]\nkind = "Status"\nstatus = 429\nheaders = { "Retry-After" = "2" }'
    assert Scenario.from_toml(text) == Scenario([Injection(fault=Status(429, headers={"Retry-After": "2"}))])


def test_empty_file_is_an_empty_scenario():
    assert Scenario.from_toml("") == Scenario()


PATHS = [str, Path]


@pytest.mark.parametrize("form", PATHS)
def test_scenario_is_read_from_a_path(tmp_path, form):
    (tmp_path / "storm.toml").write_text(Scenario(seed=5).to_toml())
    assert Scenario.from_toml(form(tmp_path / "storm.toml")) == Scenario(seed=5)


@pytest.mark.parametrize("kind", [FakeServer, FakeDockerServer, FakeEvalServer, FakeLLMServer])
def test_every_server_takes_a_scenario_from_a_file(kind, tmp_path, connect):
    (tmp_path / "storm.toml").write_text(
        '[[injections]]\non = "GET /health"\nfault = { kind = "Status", status = 418 }'
    )
    with kind(scenario=Scenario.from_toml(tmp_path / "storm.toml")) as server:
        assert connect(server).ask("/health").status == 418


WRONG = {
    'seed = 1\n\n[[injections]]\n# often\n[injections.fault]\n\n# typo\nkind = "Disconect"\n': (
        8,
        "fault 'Disconect' is not known; allowed are Disconnect, Dribble, .*; did you mean 'Disconnect'",
    ),
    '[[injections]]\nlatency = 1\n[[injections]]\nfault = "Reset"\ntime = 1': (
        5,
        "'time' in .* did you mean 'times'",
    ),
    '[[injections]]\nlatency = 1\n[[injections]]\nfault = { kind = "Reset", at = "EXECUTE" }': (
        4,
        "at='EXECUTE' is not known; allowed are ACCEPT, .*; did you mean 'EXECUTED'",
    ),
    '[[injections]]\nfault = { kind = "Stall", secs = 1 }': (
        2,
        "'secs' in Stall .* allowed are after_bytes, .*seconds",
    ),
    "[[injections]]\nlatency = 1\ntimes = 0": (3, "times=0 is no count; allowed are None or whole numbers from 1 up"),
    '[[injections]]\nlatency = 1\n\n[[injections]]\non = "GET /x"\n': (4, "an injection needs a latency or a fault"),
    '[[injections]]\non = "get x"\nlatency = 1': (2, "on='get x' is not a pattern; allowed are"),
    "[[injections]]\non = []\nlatency = 1": (2, r"\[\] is no text"),
    "[[injections]]\nlatency = -1": (2, "seconds=-1 is not a duration"),
    '[[injections]]\nlatency = { kind = "Uniform", low = 1 }': (2, "Uniform needs 'high'"),
    '[[injections]]\nlatency = { kind = "Gamma" }': (2, "latency 'Gamma' is not known; allowed are Empirical, "),
    '[[injections]]\nlatency = { kind = "Empirical", samples = 3 }': (2, "3 is no list"),
    "[[injections]]\nfault = 5": (2, "5 is no fault; write .* where the kinds are Disconnect, "),
    '[[injections]]\nfault = { kind = "Status", status = 503, body = 5 }': (2, "5 is no text; .* base64"),
    '[[injections]]\nfault = { kind = "Status", status = 503, body = { base64 = "!" } }': (2, "can't be read: "),
    '[[injections]]\nfault = { kind = "Status", status = 503, headers = [1] }': (2, "headers=.* can't be read: "),
    '[[injections]]\nfault = "Refuse"\non = "GET /x"': (1, "acts before any request is known, so on='GET /x'"),
    "seed = 1.5": (1, "seed=1.5 is no seed; allowed are whole numbers"),
    "\n\nsead = 1": (3, "'sead' .* did you mean 'seed'"),
    "injections = 3": (1, "3 is no list"),
    "injections = [\n  1,\n]": (1, "1 is no table"),
    "\nformat = 2": (2, "format=2 is not known; allowed is 1; a later version"),
    "format = true": (1, "format=True is not known; allowed is 1$"),
    "seed = 1\nseed = 2": (2, "this is not TOML: Cannot overwrite a value"),
    "seed = [1,\n2\n": (3, "this is not TOML: "),
}


@pytest.mark.parametrize(("text", "line", "problem"), [(text, *wrong) for text, wrong in WRONG.items()])
def test_error_names_file_and_line_and_says_what_is_allowed(tmp_path, text, line, problem):
    path = tmp_path / "scenario.toml"
    path.write_text(text)
    with pytest.raises(ScenarioError, match=f"scenario.toml:{line}: .*{problem}") as raised:
        Scenario.from_toml(path)
    assert "\n" not in str(raised.value)
    with pytest.raises(ScenarioError, match=f"^line {line}: "):
        Scenario.from_toml(text + "\n" * ("\n" not in text))


@pytest.mark.parametrize("name", ["missing.toml", "missing", "."])
def test_file_that_cannot_be_read_is_told(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ScenarioError, match=f"^{name} can't be read: "):
        Scenario.from_toml(name)


def test_file_that_is_no_text_is_told(tmp_path):
    (tmp_path / "storm.toml").write_bytes(b"seed = 1 # \xff")
    with pytest.raises(ScenarioError, match=r"storm.toml can't be read: it is not UTF-8 at byte 11"):
        Scenario.from_toml(tmp_path / "storm.toml")


class Own:
    def sample(self, random):
        return 0.0


class OwnFault(Fault):
    pass


@pytest.mark.parametrize("injection", [Injection(latency=Own()), Injection(fault=OwnFault())])
def test_what_no_file_can_hold_is_refused(injection):
    with pytest.raises(ScenarioError, match="can't be written to a file; what can is of"):
        Scenario([injection]).to_toml()


def test_listener_faults_round_trip_with_their_count():
    scenario = Scenario([Injection(fault=Refuse(0.25), after=3)])
    assert 'fault = {kind = "Refuse", seconds = 0.25}' in scenario.to_toml()
    assert Scenario.from_toml(scenario.to_toml()) == scenario
