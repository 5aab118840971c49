"""Each family catches the client that it is there for, with the right code, and passes what that client does right."""

from .conftest import Mine

RETRYING = """
def call(self, client, url, payload):
    try:
        return super().call(client, url, payload)
    except requests.RequestException:
        return super().call(client, url, payload)
"""

RETURNING = """
truncations = 5

def call(self, client, url, payload):
    try:
        return super().call(client, url, payload)
    except requests.RequestException as error:
        return {"error": str(error), "nonce": payload["nonce"]}
"""
HOLDING = """
async def call(self, client, url, payload):
    async with self.held:
        return await super().call(client, url, payload)
"""


def test_connections(run_contracts):
    ran = run_contracts(
        TestLeaky=Mine(
            """
            kept = []

            @pytest.fixture
            def client(self):
                self.kept.append(requests.Session())
                return self.kept[-1]
            """,
            only="closing",
        ),
        TestNeverClosed=Mine("@pytest.fixture\ndef client(self): yield requests.Session()", only="closing"),
        TestPerCall=Mine(
            """
            def call(self, client, url, payload):
                with requests.Session() as session:
                    return super().call(session, url, payload)
            """,
            only="share or returns or leave_connections",
        ),
        TestUnlimited=Mine("max_connections = 2", only="keep_to_the_limit"),
    )
    left = ("an-answer", "an-error", "a-stale-connection")
    assert ran.failed("TestLeaky") == {f"test_closing_leaves_nothing_open_after[{after}]" for after in left}
    assert ran.failed("TestNeverClosed") == ran.failed("TestLeaky")  # though nothing of its own refers to the client
    assert len(ran.passed("TestLeaky")) == 3
    assert ran.codes("TestLeaky") == {"HC101", "HC102"}
    ran.result.stdout.fnmatch_lines(["*opened at test_connections.py:* in *Blocking.call, through*"])
    ran.result.stdout.fnmatch_lines(["*the call under test is at test_connections.py:* in Blocking.call"])
    assert (len(ran.failed("TestPerCall")), ran.codes("TestPerCall")) == (4, {"HC103"})
    assert "HC104" in ran.codes("TestUnlimited")


def test_retries(run_contracts):
    ran = run_contracts(
        TestRetrying=Mine(RETRYING, only="test_at_most_once or breaks_off"),
        TestIdempotent=Mine(f"idempotent = True\n{RETRYING}", only="test_at_most_once or works_after or redirected"),
        TestInvited=Mine(
            """
            retry_statuses = {429}

            @pytest.fixture
            def client(self):
                with requests.Session() as session:
                    retries = Retry(total=2, read=0, status_forcelist={429, 503}, allowed_methods=None)
                    session.mount("http://", HTTPAdapter(max_retries=retries))
                    yield session
            """,
            only="no_retry_on",
        ),
    )
    assert ran.passed("TestRetrying") == {"test_at_most_once[half-close]"}  # it looks whether its connection is closed
    assert (len(ran.failed("TestRetrying")), ran.codes("TestRetrying")) == (12, {"HC201"})
    assert (len(ran.passed("TestIdempotent")), ran.failed("TestIdempotent")) == (12, set())
    ran.result.stdout.fnmatch_lines(["*idempotent = True: calls may be sent again: test_*"])
    assert (ran.failed("TestInvited"), ran.codes("TestInvited")) == ({"test_no_retry_on[503]"}, {"HC202"})
    ran.result.stdout.fnmatch_lines(["*retry_statuses names it: test_no_retry_on?429?"])


def test_timeouts(run_contracts):
    ran = run_contracts(
        TestNone=Mine(
            """
            connect_timeout = read_timeout = 0.1

            def call(self, client, url, payload):
                return client.post(url, json=payload).json()
            """,
            only="timeout_reaches or executed or not_accept",
        ),
        TestOthers=Mine("connect_timeout = read_timeout = 20", only="timeout_reaches"),
        TestTrickling=Mine("total_timeout = 0.1", only="trickles"),
    )
    assert ran.failed("TestNone") == {
        "test_connect_timeout_reaches_the_socket",
        "test_read_timeout_reaches_the_socket",
        "test_call_leaves_a_server_that_falls_silent_at[executed]",
        "test_call_leaves_a_server_that_does_not_accept",
    }
    assert ran.codes("TestNone") == {"HC301"}
    assert (len(ran.failed("TestOthers")), ran.codes("TestOthers")) == (2, {"HC302"})
    assert (len(ran.failed("TestTrickling")), ran.codes("TestTrickling")) == (1, {"HC303"})


def test_concurrency(run_contracts):
    ran = run_contracts(
        TestBlocked=Mine(
            """
            concurrency = 3

            async def call(self, client, url, payload):
                return requests.post(url, json=payload, timeout=5).json()
            """,
            only="test_calls_run_together and not after",
            base="Async",
        ),
        TestLocked=Mine(
            f"held = asyncio.Lock()\n{HOLDING}", only="test_calls_run_together and not after", base="Async"
        ),
        TestLosingSlots=Mine(
            """
            slots = threading.BoundedSemaphore(4)
            concurrency, patience = 4, 1.0

            def call(self, client, url, payload):
                self.slots.acquire()
                answer = super().call(client, url, payload)
                self.slots.release()
                return answer
            """,
            only="run_together_after",
        ),
        TestSharing=Mine(
            """
            def call(self, client, url, payload):
                before, client.last = getattr(client, "last", None), super().call(client, url, payload)
                return before or client.last
            """,
            only="reach_their_callers or gets_its_answer",
        ),
    )
    assert {"HC402"} <= ran.codes("TestBlocked")
    assert ran.codes("TestLocked") == {"HC401"}
    assert ran.codes("TestLosingSlots") == {"HC702"}
    ran.result.stdout.fnmatch_lines(["*did not end within 1 s*"])
    assert (ran.failed("TestSharing"), ran.codes("TestSharing")) == ({"test_answers_reach_their_callers"}, {"HC501"})


def test_failures(run_contracts):
    only = "test_client_works_after or malformed or truncation"
    ran = run_contracts(
        TestBroken=Mine(
            """
            def call(self, client, url, payload):
                if getattr(client, "is_broken", False):
                    raise RuntimeError("broken")
                client.is_broken = True
                answer = super().call(client, url, payload)
                client.is_broken = False
                return answer
            """,
            only="works_after and disconnect",
        ),
        TestMadeUp=Mine(RETURNING, only=only),
        TestReturned=Mine(f"{RETURNING}\ndef is_error(self, answer):\n    return 'error' in answer", only=only),
        TestSwallowing=Mine(
            """
            async def call(self, client, url, payload):
                try:
                    return await super().call(client, url, payload)
                except asyncio.CancelledError:
                    return payload
            """,
            only="cancellation",
            base="Async",
        ),
    )
    assert (len(ran.failed("TestBroken")), ran.codes("TestBroken")) == (5, {"HC702"})
    assert {"test_every_truncation", "test_malformed_answer_is_refused[garbage]"} <= ran.failed("TestMadeUp")
    assert ran.codes("TestMadeUp") == {"HC601", "HC602"}
    assert ran.failed("TestReturned") == set()
    assert ran.passed("TestReturned") >= ran.failed("TestMadeUp")
    assert "HC702" in ran.codes("TestSwallowing")
