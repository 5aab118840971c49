"""The engine as aiodocker sees it, from within one loop: its clock may be virtual."""

from __future__ import annotations

import asyncio
import io
import tarfile

import aiodocker
import pytest
import pytest_asyncio

from fake_servers import FakeDockerServer

pytestmark = pytest.mark.asyncio

IMAGE = "debian:12"
CONFIG = {"Image": IMAGE}


@pytest_asyncio.fixture
async def server():
    async with FakeDockerServer(images=[IMAGE], unknown_images="^private/") as server:
        yield server


@pytest_asyncio.fixture
async def client(server):
    async with aiodocker.Docker(url=server.url) as client:
        yield client


@pytest_asyncio.fixture
async def box(client):
    return await client.containers.run(CONFIG, name="box")


async def output(stream):
    """Everything that a stream brings, by number."""
    parts = {1: b"", 2: b""}
    while (message := await stream.read_out()) is not None:
        parts[message.stream] += message.data
    return parts[1], parts[2]


async def test_version_and_info(client, box):
    assert (await client.version())["ApiVersion"] == "1.47"
    assert (await client.system.info())["ContainersRunning"] == 1


async def test_pull(client):
    lines = await client.images.pull("alpine", tag="3")
    assert lines[-1]["status"] == "Status: Downloaded newer image for alpine:3"
    statuses = [line["status"] async for line in client.images.pull("redis", stream=True)]
    assert statuses.count("Pull complete") == 3
    assert len(await client.images.list()) == 3
    assert (await client.images.inspect("alpine:3"))["RepoTags"] == ["alpine:3"]
    await client.images.delete("redis")
    with pytest.raises(aiodocker.DockerError) as caught:
        await client.images.pull("private/x")
    assert caught.value.status == 404


async def test_run_and_logs(client):
    box = await client.containers.run({**CONFIG, "Cmd": ["sh", "-c", "echo one; echo two >&2; exit 3"]})
    assert (await box.wait())["StatusCode"] == 3
    assert await box.log(stdout=True, stderr=True) == ["one\n", "two\n"]
    assert await box.log(stdout=True) == ["one\n"]


@pytest.mark.looptime
async def test_followed_logs_come_as_they_are_printed(client):
    clock = asyncio.get_running_loop().time
    box = await client.containers.run({**CONFIG, "Cmd": ["sh", "-c", "echo one; sleep 600; echo two"]})
    begun_at = clock()
    seen = [(line, round(clock() - begun_at)) async for line in box.log(stdout=True, follow=True)]
    assert seen == [("one\n", 0), ("two\n", 600)]


async def test_list_and_filters(client, box):
    await client.containers.create({**CONFIG, "Labels": {"a": "b"}}, name="other")
    assert len(await client.containers.list()) == 1
    assert len(await client.containers.list(all=True)) == 2
    [other] = await client.containers.list(all=True, filters={"label": ["a=b"]})
    assert other["Names"] == ["/other"]


async def test_exec(client, box):
    command = await box.exec(["sh", "-c", "echo a; echo b >&2; exit 4"])
    async with command.start(detach=False) as stream:
        assert await output(stream) == (b"a\n", b"b\n")
    assert (await command.inspect())["ExitCode"] == 4


async def test_exec_with_input(box):
    command = await box.exec(["cat"], stdin=True)
    async with command.start(detach=False) as stream:
        for word in (b"one", b"two"):
            await stream.write_in(word)
            assert (await stream.read_out()).data == word


async def test_exec_on_a_terminal(box):
    command = await box.exec(["sh", "-c", "echo a"], tty=True)
    async with command.start(detach=False) as stream:
        assert await output(stream) == (b"a\r\n", b"")
        await command.resize(h=10, w=20)


@pytest.mark.looptime
async def test_exec_sends_its_frames_a_second_apart(box):
    clock = asyncio.get_running_loop().time
    command = await box.exec(["sh", "-c", "echo a; sleep 1; echo b 1>&2"])
    async with command.start(detach=False) as stream:
        first = await stream.read_out()
        begun_at = clock()
        second = await stream.read_out()
        assert clock() - begun_at == 1
        assert (first, second) == ((1, b"a\n"), (2, b"b\n"))
        assert await stream.read_out() is None


@pytest.mark.looptime
async def test_fifty_commands_side_by_side_take_as_long_as_one(client, box, server):
    clock = asyncio.get_running_loop().time

    async def one():
        command = await box.exec(["sleep", "600"])
        async with command.start(detach=False) as stream:
            await output(stream)
        return (await command.inspect())["ExitCode"]

    begun_at = clock()
    assert await asyncio.gather(*(one() for _ in range(50))) == [0] * 50
    assert clock() - begun_at == 600


@pytest.mark.looptime
async def test_stop_takes_ten_seconds_of_the_loops_clock(box):
    begun_at = asyncio.get_running_loop().time()
    await box.stop()
    assert asyncio.get_running_loop().time() - begun_at == 10
    assert (await box.show())["State"]["ExitCode"] == 137


async def test_exec_detached(box, server):
    command = await box.exec(["touch", "/tmp/mark"])
    await command.start(detach=True)
    assert server.containers[0].shell.filesystem.exists("/tmp/mark")


async def test_attach(client):
    box = await client.containers.create({**CONFIG, "Cmd": ["cat"], "OpenStdin": True, "StdinOnce": True})
    async with box.attach(stdin=True, stdout=True, stderr=True) as stream:
        await box.start()
        await stream.write_in(b"typed")
        assert (await stream.read_out()).data == b"typed"
    assert (await box.wait())["StatusCode"] == 0


@pytest.mark.looptime
async def test_kill_restart_delete(client, box):
    await box.kill()
    await box.start()
    await box.restart()
    await box.pause()
    await box.unpause()
    await box.rename("crate")
    await box.delete(force=True)
    with pytest.raises(aiodocker.DockerError) as caught:
        await box.show()
    assert (caught.value.status, caught.value.message) == (404, f"No such container: {box.id}")


async def test_archives(box):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo("file.txt")
        member.size = 4
        tar.addfile(member, io.BytesIO(b"text"))
    await box.put_archive("/tmp", buffer.getvalue())
    with await box.get_archive("/tmp/file.txt") as tar:
        assert tar.extractfile("file.txt").read() == b"text"


async def test_events(client, box, server):
    subscriber = client.events.subscribe()
    await server.ledger.until(lambda ledger: ledger.in_flight == 1)
    await box.kill()
    while (event := await asyncio.wait_for(subscriber.get(), 10)) is not None and event["Action"] != "die":
        pass
    assert event["Actor"]["Attributes"]["exitCode"] == "137"


@pytest.mark.parametrize("stopped", [False, True])
async def test_container_error(client, stopped):
    box = await client.containers.create(CONFIG)
    with pytest.raises(aiodocker.DockerError) as caught:
        await box.kill() if stopped else await client.containers.create({"Image": "nope"})
    assert caught.value.status == (409 if stopped else 404)
