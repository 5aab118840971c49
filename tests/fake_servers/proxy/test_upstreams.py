"""Which upstreams there can be, how they are connected to, and where the proxy itself may run."""

import asyncio
import pickle
import ssl

import httpx
import pytest
import requests

from fake_servers import ChaosProxy, FakeServer, FakeServerError, Response, ScenarioError, listener
from fake_servers.faults import Disconnect
from fake_servers.proxy.upstream import Upstream


@pytest.mark.parametrize(
    ("given", "url", "authority"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000", "127.0.0.1:8000"),
        ("http://localhost/", "http://localhost", "localhost"),
        ("https://api.example/v1/", "https://api.example/v1", "api.example"),
        ("https://api.example:8443", "https://api.example:8443", "api.example:8443"),
        ("http://[::1]:80/a", "http://[::1]/a", "[::1]"),
        ("http://b\xfccher.example/a%20b", "http://xn--bcher-kva.example/a%20b", "xn--bcher-kva.example"),
        ("unix:///tmp/a b.sock", "unix:///tmp/a b.sock", "localhost"),
        ("tcp://127.0.0.1:6379", "tcp://127.0.0.1:6379", "127.0.0.1:6379"),
        ("unix:///var/run/docker.sock", "unix:///var/run/docker.sock", "localhost"),
    ],
)
def test_upstream_is_read_from_its_url(given, url, authority):
    upstream = Upstream.parse(given)
    assert (upstream.url, upstream.authority) == (url, authority)
    assert Upstream.parse(url) == upstream


@pytest.mark.parametrize(
    "given",
    [
        "127.0.0.1:8000",
        "ftp://x",
        "http://",
        "http://x:0",
        "http://x:99999",
        "http://user@x",
        "http://x/?q=1",
        "http://x/#f",
        "http://[::1",
        "http://a b",
        "http://\xfc..example",
        "http://x/a b",
        "http://x/\xe9",
        "http://x/a\tb",
        "unix:///tmp/a\nb",
        "tcp://x",
        "tcp://x:1/path",
        "unix://x",
        "unix://",
        8000,
        None,
    ],
)
def test_what_is_no_upstream_is_refused_with_what_is_allowed(given):
    with pytest.raises(ScenarioError, match=r"upstream=.*; allowed are 'http://HOST.* as in ChaosProxy"):
        ChaosProxy(given)


@pytest.mark.parametrize(
    "options",
    [{"connect_timeout": 0}, {"connect_timeout": True}, {"keep_host": 1}, {"verify": 3}, {"verify": "/no/such/ca.pem"}],
    ids=str,
)
def test_argument_that_makes_no_sense_is_refused(options):
    with pytest.raises(ScenarioError, match=f"{next(iter(options))}="):
        ChaosProxy("https://127.0.0.1:1", **options)


def test_server_that_was_never_started_is_no_upstream_yet():
    with pytest.raises(FakeServerError, match="before it is started"):
        ChaosProxy(FakeServer())


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
@pytest.mark.parametrize("scheme", ["http", "https", "tcp"])
def test_proxy_before_itself_is_refused(scheme, address):
    with FakeServer() as known:
        port = known.port
    with pytest.raises(ScenarioError, match=f"{port}' is this proxy itself, .* as in port=0"):
        ChaosProxy(f"{scheme}://localhost:{port}", address=address, port=port)


def test_proxy_that_is_given_its_upstream_s_port_by_chance_does_not_start(monkeypatch):
    with FakeServer() as gone:
        pass
    proxy = ChaosProxy(gone.url)
    monkeypatch.setattr(listener, "_free_port", lambda address: gone.port)
    with pytest.raises(ScenarioError, match="is this proxy itself"):
        proxy.start()
    with gone:  # its port was given back
        assert not proxy.is_running


def test_proxy_before_its_own_unix_socket_is_refused(tmp_path):
    with pytest.raises(ScenarioError, match="is this proxy itself"):
        ChaosProxy(f"unix://{tmp_path}/a.sock", unix_socket=tmp_path / "a.sock")


@pytest.mark.parametrize(
    ("upstream", "address", "is_itself"),
    [
        ("http://127.0.0.1:9532", "127.0.0.1", True),
        ("http://0.0.0.0:9532", "127.0.0.1", True),
        ("http://127.0.0.2:9532", "0.0.0.0", True),
        ("http://127.0.0.2:9532", "127.0.0.1", False),
        ("http://127.0.0.1:9531", "127.0.0.1", False),
        ("http://192.0.2.1:9532", "0.0.0.0", False),
        ("http://[::1]:9532", "127.0.0.1", False),
        ("http://a..b:9532", "0.0.0.0", False),
        ("unix:///tmp/a.sock", "127.0.0.1", False),
    ],
)
def test_upstream_is_the_proxy_itself_where_it_hears_what_comes_for_it(upstream, address, is_itself):
    assert Upstream.parse(upstream).leads_to(address, 9532, None) is is_itself


@pytest.fixture(scope="module")
def sealed():
    with FakeServer(tls=True) as server:
        server.route("GET /hello")(lambda request: Response.text("hello"))
        yield server


@pytest.mark.parametrize("how", ["server", "path", "off"])
def test_upstream_speaks_tls(sealed, connect, how):
    verify = {"server": True, "path": sealed.ca_path, "off": False}[how]
    with ChaosProxy(sealed if how == "server" else sealed.url, verify=verify) as proxy:
        assert connect(proxy).ask("/hello").body == b"hello"


def test_upstream_s_certificate_that_is_not_trusted_is_a_502(sealed, connect):
    with ChaosProxy(sealed.url) as proxy:
        reply = connect(proxy).ask("/hello")
    assert (reply.status, b"certificate verify failed" in reply.body) == (502, True)


def test_both_sides_speak_tls_and_a_fault_acts_between(sealed):
    with ChaosProxy(sealed, tls=True) as proxy, httpx.Client(verify=trusting(proxy)) as client:
        assert client.get(proxy.url + "/hello").text == "hello"
        proxy.inject(Disconnect(), times=1)
        with pytest.raises(httpx.RemoteProtocolError):
            client.get(proxy.url + "/hello")
        assert client.get(proxy.url + "/hello").text == "hello"


def trusting(server):
    return ssl.create_default_context(cafile=server.ca_path)


def test_both_sides_may_be_unix_sockets(tmp_path):
    with FakeServer(unix_socket=tmp_path / "real.sock") as real:
        real.route("GET /hello")(lambda request: Response.text(request.headers["Host"]))
        with ChaosProxy(f"unix://{tmp_path}/real.sock", unix_socket=tmp_path / "proxy.sock") as proxy:
            transport = httpx.HTTPTransport(uds=str(tmp_path / "proxy.sock"))
            with httpx.Client(transport=transport) as client:
                assert client.get("http://docker/hello").text == "localhost"
            assert proxy.ledger.count("GET /hello") == 1


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost"}, 200),
        ({"Host": "192.168.1.7:9532"}, 200),
        ({"Origin": "http://localhost:3000"}, 200),
        ({"Host": "page.example:9532"}, 421),
        ({"Origin": "http://page.example"}, 421),
        ({"Origin": "null"}, 421),
    ],
)
def test_web_page_does_not_get_to_a_unix_socket(tmp_path, headers, status):
    with FakeServer(unix_socket=tmp_path / "socket") as real, ChaosProxy(f"unix://{tmp_path}/socket") as proxy:
        real.route("POST /stop")(lambda request: Response.text("stopped"))
        assert requests.post(proxy.url + "/stop", headers=headers).status_code == status
        assert proxy.ledger.executions() == real.ledger.count() == (status == 200)


def test_name_of_a_host_is_no_matter_before_what_web_pages_reach_anyway(server):
    assert requests.get(server.url + "/hello", headers={"Host": "page.example"}).text == "hello"


@pytest.mark.parametrize("named", [True, False])
def test_proxy_that_runs_elsewhere_is_made_there_before_the_same_upstream(real, named):
    proxy = ChaosProxy(upstream=real, host="process") if named else ChaosProxy(real, host="process", keep_host=True)
    kind, arguments, options = proxy._crossing.made
    assert kind(*arguments, **options).upstream == real.url


class Mine(ChaosProxy):
    """A proxy of the user's own."""

    def __init__(self, behind):
        super().__init__(behind, host="process")


def test_proxy_of_the_user_s_own_is_made_elsewhere_as_it_was_made_here():
    with FakeServer(tls=True) as real:
        for given in (real, real.url):
            proxy = Mine(given)
            kind, arguments, options = pickle.loads(pickle.dumps(proxy._crossing.made))
            again = kind(*arguments, **options)
            assert (again.upstream, again._verify) == (real.url, real.ca_path if given is real else True)


def test_proxy_in_processes_of_its_own(real):
    with ChaosProxy(real, host="process", workers=2) as proxy, requests.Session() as session:
        assert session.get(proxy.url + "/hello").text == "hello"
        [name] = proxy.outgoing
        assert real.ledger.connections[0].peer == name
        assert proxy.ledger.executions("GET /hello") == 1


@pytest.mark.asyncio
@pytest.mark.looptime
@pytest.mark.parametrize("scheme", ["http", "tcp"])
async def test_virtual_clock_takes_an_upstream_in_its_loop(real, scheme):
    with pytest.raises(ScenarioError, match="can't follow the virtual clock of the running loop"):
        await ChaosProxy(f"{scheme}://127.0.0.1:{real.port}").start_in_loop()
    with pytest.raises(ScenarioError, match="can't follow the virtual clock of the running loop"):
        await ChaosProxy("unix:///no/such/socket").start_in_loop()
    async with FakeServer() as own, ChaosProxy(f"{scheme}://127.0.0.1:{own.port}") as proxy:
        assert proxy.is_running
    async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0) as unknown:
        port = unknown.sockets[0].getsockname()[1]
        async with ChaosProxy(f"{scheme}://127.0.0.1:{port}") as proxy:
            assert proxy.is_running


@pytest.mark.asyncio
async def test_proxy_in_the_running_loop():
    async with FakeServer() as real, ChaosProxy(real) as proxy, httpx.AsyncClient() as client:
        real.route("GET /hello")(lambda request: Response.text("hello"))
        proxy.inject(Disconnect(), times=1)
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(proxy.url + "/hello")
        assert (await client.get(proxy.url + "/hello")).text == "hello"
        assert real.ledger.executions() == 2


@pytest.mark.asyncio
@pytest.mark.looptime
async def test_proxy_follows_the_loop_s_clock_with_an_upstream_in_the_same_loop():
    async with FakeServer() as real, ChaosProxy(real) as proxy, httpx.AsyncClient(timeout=7200) as client:
        real.route("GET /hello")(lambda request: Response.text("hello"))
        real.delay(3600)
        begun_at = asyncio.get_running_loop().time()
        assert (await client.get(proxy.url + "/hello")).text == "hello"
        assert asyncio.get_running_loop().time() - begun_at == 3600
