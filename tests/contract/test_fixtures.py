"""The fixture ``client`` may be of any kind, whatever runs the user's other async tests."""

import pytest

from .conftest import SOURCE, Mine

CHECKS = "gets_its_answer or share_a or nothing_open_after or (works_after and executed) or truncation"
ALL = 11
PATIENT = ("-o", "httpconc_grace=10")  # correct clients wait for nothing, but a busy machine may
ASYNC = """
truncations = 5

@{decorator}
async def client(self):
    task = asyncio.current_task()
    async with aiohttp.ClientSession() as session:
        yield session
    assert asyncio.current_task() is task
"""
OF_AN_ASYNC_FIXTURE = """
truncations = 5

@{decorator}
async def session(self):
    async with aiohttp.ClientSession() as session:
        yield session

@pytest.fixture
def client(self, session, server, tmp_path):
    assert server.is_running and tmp_path.exists()
    return session
"""


@pytest.mark.parametrize("mode", ["strict", "auto", "none"])
def test_async_fixture_is_entered_in_the_loop_of_the_calls(run_contracts, mode):
    arguments, options = ["-W", "error", *PATIENT], {}
    if mode != "none":
        options = {"plugins": ["pytest_asyncio.plugin"], "ini": "asyncio_default_fixture_loop_scope = function"}
        arguments.append(f"--asyncio-mode={mode}")
    plain, other = "pytest.fixture", "pytest_asyncio.fixture"
    contracts = {
        "TestPlain": Mine(ASYNC.format(decorator=plain), only=CHECKS, base="Async"),
        "TestOther": Mine(ASYNC.format(decorator=other), only=CHECKS, base="Async"),
        "TestPlainBelow": Mine(OF_AN_ASYNC_FIXTURE.format(decorator=plain), only=CHECKS, base="Async"),
        "TestOtherBelow": Mine(OF_AN_ASYNC_FIXTURE.format(decorator=other), only=CHECKS, base="Async"),
    }
    ran = run_contracts(*arguments, source=f"import pytest_asyncio\n{SOURCE}", **options, **contracts)
    assert {name: len(ran.passed(name)) for name in contracts} == dict.fromkeys(contracts, ALL)
    assert set(ran.result.parseoutcomes()) == {"passed", "deselected"}


def test_fixture_that_blocks_is_entered(run_contracts):
    session = "(self):\n    with requests.Session() as session:\n        yield session"
    source = (
        f"{SOURCE}\n@pytest.fixture\ndef client():\n    with requests.Session() as session:\n        yield session\n"
    )
    source += "\nclass OfModule(ClientContract):\n    call = Blocking.call\n"
    contracts = {
        "TestReturns": Mine("@pytest.fixture\ndef client(self): return requests.Session()", only=CHECKS),
        "TestOfClass": Mine(f"@pytest.fixture(scope='class')\n@classmethod\ndef client{session}", only=CHECKS),
        "TestByName": Mine(f"@pytest.fixture(name='client')\ndef session{session}", only=CHECKS),
        "TestOfModule": Mine("pass", only=CHECKS, base="OfModule"),
    }
    ran = run_contracts(*PATIENT, source=source, **contracts)
    assert {name: len(ran.passed(name)) for name in contracts} == dict.fromkeys(contracts, ALL)


def test_fixture_that_fails_is_shown_at_its_line(run_contracts):
    closing = "\n    yield None\n    raise LookupError('not closed')"
    ran = run_contracts(
        TestOpening=Mine(
            "@pytest.fixture\nasync def client(self):\n    raise LookupError('not made')", only="its_answer"
        ),
        TestClosing=Mine(f"@pytest.fixture\ndef client(self):{closing}\n\ndef call(self, *_): pass", only="executed"),
        TestAsyncClosing=Mine(
            "@pytest.fixture\nasync def client(self):\n    async with aiohttp.ClientSession() as session:\n"
            "        yield session\n    raise LookupError('not closed, async')",
            only="gets_its_answer",
            base="Async",
        ),
    )
    assert not ran.result.parseoutcomes().get("passed")
    ran.result.stdout.fnmatch_lines(["*LookupError: not made"])
    ran.result.stdout.fnmatch_lines(["*LookupError: not closed, async"])


def test_user_may_add_tests_of_the_same_client(run_contracts):
    body = """
    def test_own(self, client, server, httpconc):
        assert self.call(client, server.url, {"nonce": "mine"}) == {"nonce": "mine"}
        httpconc.assert_connections(server, at_most=1)
    """
    assert run_contracts(TestMine=Mine(body, only="test_own")).passed("TestMine") == {"test_own"}
