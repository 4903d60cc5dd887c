"""Where MNIST is looked for, with a mirror on this machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from hdlib.tasks.mnist_files import find_mnist_file

NAME = "images.gz"
CONTENT = bytes(range(256)) * 40
SUMS = {NAME: hashlib.sha256(CONTENT).hexdigest()}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def mirrors(tmp_path) -> Iterator[str]:
    """Address of a server; the mirrors are its folders."""
    folder = tmp_path / "mirrors"
    for name, content in {
        "right": CONTENT,
        "truncated": CONTENT[:-1],
        "altered": b"!" + CONTENT[1:],
        "page": b"<html>moved</html>",
    }.items():
        (folder / name).mkdir(parents=True)
        (folder / name / NAME).write_bytes(content)
    (folder / "empty").mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    """The user's data folder; the cache folder is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HDLIB_DATA_HOME", str(tmp_path / "home"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "home/mnist").mkdir(parents=True)
    return tmp_path / "home"


def cached(tmp_path: Path) -> Path:
    return tmp_path / "cache/hdlib/mnist" / NAME


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_data_home_comes_first_then_the_cache(tmp_path, home, monkeypatch):
    in_cache = put(cached(tmp_path), CONTENT)
    assert find_mnist_file(NAME, sha256=SUMS, mirrors=[]) == in_cache
    in_home = put(home / "mnist" / NAME, CONTENT)
    assert find_mnist_file(NAME, sha256=SUMS, mirrors=[]) == in_home
    monkeypatch.delenv("HDLIB_DATA_HOME")
    assert find_mnist_file(NAME, sha256=SUMS, mirrors=[]) == in_cache


@pytest.mark.parametrize("first", ["empty", "truncated", "altered", "page", "right"])
def test_download_from_the_first_right_mirror(tmp_path, mirrors, first):
    addresses = [mirrors + first + "/", mirrors + "right/"]
    path = find_mnist_file(NAME, sha256=SUMS, mirrors=addresses)
    assert path == cached(tmp_path)
    assert path.read_bytes() == CONTENT
    assert [other.name for other in path.parent.iterdir()] == [NAME]
    assert find_mnist_file(NAME, sha256=SUMS, mirrors=[]) == path


def test_no_mirror_has_it(tmp_path, mirrors):
    addresses = [mirrors + "truncated/", mirrors + "empty/", "http://127.0.0.1:9/"]
    with pytest.raises(ConnectionError) as error:
        find_mnist_file(NAME, sha256=SUMS, mirrors=addresses)
    for words in (NAME, "$HDLIB_DATA_HOME/mnist", "dataset='digits'", *addresses):
        assert words in str(error.value)
    assert not cached(tmp_path).exists()


@pytest.mark.parametrize("where", ["home", "cache"])
@pytest.mark.parametrize("content", [CONTENT[:-1], b"", b"!" + CONTENT[1:]])
def test_damaged_file(tmp_path, home, mirrors, where, content):
    path = put(home / "mnist" / NAME if where == "home" else cached(tmp_path), content)
    with pytest.raises(ValueError, match="damaged") as error:
        find_mnist_file(NAME, sha256=SUMS, mirrors=[mirrors + "right/"])
    for words in (str(path), SUMS[NAME], hashlib.sha256(content).hexdigest(), "delete it"):
        assert words in str(error.value)
    path.unlink()
    found = find_mnist_file(NAME, sha256=SUMS, mirrors=[mirrors + "right/"])
    assert found.read_bytes() == CONTENT
