"""Whatever a client sends and a server answers comes through as it is, in both framings, and breaks off at any byte."""

import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_servers import ChaosProxy, FakeServer, Response, Stream
from tests.fake_servers.conftest import RawClient

NAMES = st.from_regex(r"X-[A-Za-z0-9!#$%&'*+.^_`|~-]{1,12}", fullmatch=True)
VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=12)
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=4)
BODIES = st.lists(st.binary(min_size=1, max_size=300), max_size=4)


class Echo:
    """A server that answers with the fields and the body it is given, in the framing it is given them in."""

    def __init__(self):
        self.real = FakeServer().start()
        self.proxy = ChaosProxy(self.real).start()
        self.client = RawClient(self.proxy.port)

        @self.real.route("POST /echo")
        async def echo(request):
            own = [(name, value) for name, value in request.raw_headers if name.lower().startswith(b"x-")]
            fields = [(name.decode(), value.decode()) for name, value in own]
            if "Transfer-Encoding" not in request.headers:
                return Response(request.body, headers=fields)
            return Stream(self._parts(request.body), headers=fields)

    async def _parts(self, body):
        for at in range(0, len(body), 100):
            yield body[at : at + 100]

    def stop(self):
        self.client.sock.close()
        self.proxy.stop()
        self.real.stop()


@settings(max_examples=40)
@given(fields=FIELDS, parts=BODIES, chunked=st.booleans())
def test_message_comes_through_as_it_is(request, fields, parts, chunked):
    echo = request.node.echo = getattr(request.node, "echo", None) or started(request)
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    head = f"POST /echo HTTP/1.1\r\nHost: x\r\n{lines}".encode()
    body = b"".join(parts)
    if chunked:
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
        echo.client.send(head, b"Transfer-Encoding: chunked\r\n\r\n", chunks, b"0\r\n\r\n")
    else:
        echo.client.send(head, b"Content-Length: %d\r\n\r\n" % len(body), body)
    answer = echo.client.until(b"\r\n\r\n").decode().split("\r\n")[1:-2]
    assert [tuple(line.split(": ", 1)) for line in answer[:-1]] == fields
    name, _, value = answer[-1].partition(": ")
    assert name == ("Transfer-Encoding" if chunked else "Content-Length")
    if chunked:
        assert echo.client._chunks()[1] == body
    else:
        assert echo.client.exactly(int(value)) == body


def started(request):
    echo = Echo()
    request.addfinalizer(echo.stop)
    return echo


def test_answer_is_cut_after_every_byte(server, httpconc):
    def call(session):
        response = session.get(server.url + "/hello", timeout=5)
        response.raise_for_status()
        assert response.content  # requests takes a head that is cut for a whole answer without a body

    httpconc.sweep_truncations(server, call, requests.Session, malformed=False)
    assert {e.outcome for e in server.ledger.exchanges} == {"answered", "ended by fault"}
