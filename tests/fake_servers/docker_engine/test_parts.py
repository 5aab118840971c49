"""The pure parts: names, filters, instants, frames, archives, and what an argument vector means."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import json
import lzma
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_servers.docker_engine.archives import BadArchive, pack, path_stat, unpack
from fake_servers.docker_engine.filters import label_matches, read_filters
from fake_servers.docker_engine.frames import STDERR, frame, on_terminal
from fake_servers.docker_engine.names import Reference, container_name, digest, generated_name, read_reference
from fake_servers.docker_engine.programs import CommandLine, command_line
from fake_servers.docker_engine.times import ago, read_instant, stamp
from fake_servers.shell import Filesystem

SHA = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("debian", Reference("debian", "latest")),
        ("debian:12", Reference("debian", "12")),
        ("docker.io/library/debian", Reference("debian", "latest")),
        ("library/debian:12", Reference("debian", "12")),
        ("me/app_1.x", Reference("me/app_1.x", "latest")),
        ("localhost:5000/a/b:c", Reference("localhost:5000/a/b", "c")),
        ("ghcr.io/a/b", Reference("ghcr.io/a/b", "latest")),
        (f"debian@{SHA}", Reference("debian", "latest", SHA)),
    ],
)
def test_reference_is_read(text, expected):
    assert read_reference(text) == expected


@pytest.mark.parametrize("text", ["", ":", "a:", "a b", "-a", "a//b", "a@sha256:1", "a:" + "x" * 129, "a" * 600])
def test_what_is_no_reference_is_refused(text):
    with pytest.raises(ValueError, match="invalid reference format"):
        read_reference(text)


def test_capitals_in_a_repository_are_named():
    with pytest.raises(ValueError, match="must be lowercase"):
        read_reference("Debian")


@given(st.text())
def test_any_text_is_a_reference_or_is_refused(text):
    with contextlib.suppress(ValueError):
        assert read_reference(str(read_reference(text))) == read_reference(str(read_reference(text)))


def test_reference_in_its_forms():
    assert str(read_reference("debian")) == "debian:latest"
    assert read_reference("debian").path == "library/debian"
    assert str(read_reference(f"me/a@{SHA}")) == f"me/a@{SHA}"


def test_container_names():
    assert container_name("/web-1") == "web-1"
    for wrong in ("", "a", "/", "a b", "-a", "a/b"):
        with pytest.raises(ValueError, match="Invalid container name"):
            container_name(wrong)
    assert container_name(generated_name(digest("any")))


def test_filters_in_both_forms():
    for text in ('{"name": ["a", "b"]}', '{"name": {"a": true, "b": true, "c": false}}'):
        filters = read_filters(text, ["name"])
        assert filters.get("name") == ("a", "b")
        assert filters.allows("name", lambda value: value == "b")
        assert not filters.allows("name", lambda value: value == "c")
        assert filters.allows("status", lambda value: False)


@pytest.mark.parametrize("text", ["{", "[]", '{"name": "a"}', '{"name": [1]}', '{"other": ["a"]}', "[" * 99_999])
def test_malformed_filter_is_refused(text):
    with pytest.raises(ValueError, match="invalid filter"):
        read_filters(text, ["name"])


def test_labels():
    assert label_matches("a", {"a": "1"})
    assert label_matches("a=1", {"a": "1"})
    assert not label_matches("a=2", {"a": "1"})
    assert not label_matches("b", {"a": "1"})


def test_instants():
    assert stamp(0.5) == "1970-01-01T00:00:00.500000000Z"
    assert stamp(None) == "0001-01-01T00:00:00Z"
    assert read_instant("") is read_instant("0") is None
    assert read_instant("12.25") == 12.25
    assert read_instant("1970-01-01T00:00:01.500000000Z") == 1.5
    assert read_instant("1970-01-01T01:00:00+01:00") == 0
    for wrong in ("yesterday", "1e9", "10m", "nan"):
        with pytest.raises(ValueError, match="invalid value"):
            read_instant(wrong)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (150, "2 minutes"),
        (3600, "About an hour"),
        (10_000, "2 hours"),
        (86400 * 3, "3 days"),
        (86400 * 20, "2 weeks"),
        (86400 * 90, "3 months"),
        (86400 * 800, "2 years"),
    ],
)
def test_durations_in_words(seconds, text):
    assert ago(seconds) == text


def test_frame_is_stream_zeros_size_data():
    assert frame(STDERR, b"abc") == b"\x02\0\0\0\0\0\0\x03abc"
    assert on_terminal(b"a\nb\r\n") == b"a\r\nb\r\n"


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["bash", "-c", "echo $X; ls"], CommandLine("echo $X; ls")),
        (["/bin/sh", "-lc", "make"], CommandLine("make")),
        (["bash", "-o", "pipefail", "-c", "a | b", "name"], CommandLine("a | b")),
        (["sh", "-c"], CommandLine("")),
        (["echo", "a b", "c"], CommandLine("echo 'a b' c", program="echo")),
        (["bash"], CommandLine("bash", reads_input=True)),
        (["/bin/bash", "-l"], CommandLine("/bin/bash", reads_input=True)),
        (["bash", "--norc", "script.sh"], CommandLine("bash --norc script.sh")),
    ],
)
def test_argument_vector_is_understood(argv, expected):
    assert command_line(argv) == expected


def archive(**files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_archive_is_unpacked_below_a_directory(compress):
    files = Filesystem()
    unpack(files, "/tmp", compress(archive(**{"a": b"1", "sub/b": b"2", "../../c": b"3", "/d": b"4"})))
    assert {name: files.read_bytes(f"/tmp/{name}") for name in ("a", "sub/b", "c", "d")} == {
        "a": b"1",
        "sub/b": b"2",
        "c": b"3",
        "d": b"4",
    }


def test_packed_directory_unpacks_to_the_same():
    files, other = Filesystem(), Filesystem()
    files.makedirs("/srv/data/deep")
    files.write("/srv/data/deep/file", "text")
    unpack(other, "/tmp", pack(files, "/srv/data", 0))
    assert other.read_text("/tmp/data/deep/file") == "text"
    unpack(other, "/tmp", pack(files, "/srv/data/deep/file", 0))
    assert other.read_text("/tmp/file") == "text"
    unpack(other, "/opt", pack(files, "/", 0))
    assert other.read_text("/opt/srv/data/deep/file") == "text"


def test_links_are_refused_by_name():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        tar.addfile(link)
    with pytest.raises(BadArchive, match="'link' is neither a file nor a directory"):
        unpack(Filesystem(), "/tmp", buffer.getvalue())


def test_archive_that_grows_too_large_is_refused():
    with pytest.raises(OSError, match="No space left"):
        unpack(Filesystem(), "/tmp", gzip.compress(bytes(100 << 20), 1))


@given(st.binary() | st.binary().map(gzip.compress) | st.binary(max_size=99).map(lambda data: archive(a=b"1") + data))
def test_any_bytes_are_an_archive_or_are_refused(data):
    with contextlib.suppress(BadArchive, OSError):
        unpack(Filesystem(), "/tmp", data)


def test_path_stat():
    import base64

    files = Filesystem()
    files.write("/tmp/f", "four")
    described = json.loads(base64.b64decode(path_stat(files, "/tmp/f", 0)))
    assert (described["name"], described["size"], described["mode"]) == ("f", 4, 0o644)
    assert json.loads(base64.b64decode(path_stat(files, "/tmp/", 0)))["mode"] >> 31 == 1
    with pytest.raises(FileNotFoundError):
        path_stat(files, "/nope", 0)
