"""Listening sockets, TLS and log files of a running server, and its startup banner."""

import os
import signal
import socket
import ssl
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from flower import __version__
from tests.helpers.certificate import create_certificate
from tests.helpers.product_process import Product
from tests.helpers.servers import Redis, free_port, wait_for


class ProductWithOptions(Product):
    """Started with exactly these options, without a `--port` of its own."""

    def command(self) -> list[str]:
        port = f"--port={self.port}"
        return [word for word in super().command() if word != port]

    def log_text(self) -> str:
        return self.log.read_text()

    def ready(self) -> bool:
        return "Registered tasks" in self.log_text() or "The recorder" in self.log_text()

    def end(self, number: int) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(60)


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost, and its key."""
    return create_certificate(tmp_path_factory.mktemp("pem"))


@pytest.fixture
def socket_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder whose name is short enough for a unix socket."""
    import tempfile

    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_banner_and_shutdown(redis_server: Redis, number: int) -> None:
    with ProductWithOptions(
        redis_server.url.replace("://", "://ann:hush@"), "--port=0", "--address=localhost"
    ) as product:
        log_text = product.log_text()
        port = int(log_text.partition("Visit me at http://localhost:")[2].split()[0])
        assert httpx.get(f"http://127.0.0.1:{port}/healthcheck").headers["server"] == "Bellflower"
        assert "Broker: redis://ann:**@127.0.0.1" in log_text
        assert "hush" not in log_text
        names = log_text.partition("Registered tasks: ")[2].splitlines()[0].split(", ")
        assert names == sorted(names)
        assert "shop.add" in names
        assert not [name for name in names if name.startswith("celery.")]
        assert f"Bellflower {__version__}" in log_text
        assert f"Store: {product.db}, 0 tasks" in log_text
        assert "Actions are enabled for all users: FLOWER_UNAUTHENTICATED_API is set" in log_text
        assert log_text.index("Visit me at") < log_text.index("Broker: ") < log_text.index("Registered tasks:")
        assert product.end(number) == 0
        assert "Traceback" not in product.log_text()
        assert any(line.endswith("Stopped") for line in product.log_text().splitlines())


def test_all_addresses_of_a_name_share_one_port(redis_server: Redis) -> None:
    with ProductWithOptions(redis_server.url, "--port=0", "--address=") as product:
        port = int(product.log_text().partition("Visit me at http://127.0.0.1:")[2].split()[0])
        for host in ("127.0.0.1", "[::1]") if socket.has_dualstack_ipv6() else ("127.0.0.1",):
            assert httpx.get(f"http://{host}:{port}/healthcheck").text == "OK"


def test_banner_contains_the_url_prefix(redis_server: Redis) -> None:
    with ProductWithOptions(redis_server.url, "--port=0", "--url-prefix=/deep/") as product:
        url = product.log_text().partition("Visit me at ")[2].split()[0]
        assert url.endswith("/deep/")
        assert httpx.get(f"{url}healthcheck").text == "OK"


def test_quiet_prints_no_banner(redis_server: Redis) -> None:
    class Quiet(Product):
        def command(self) -> list[str]:
            command = super().command()
            command.insert(command.index("flower"), "-q")
            return command

    with Quiet(redis_server.url, "--logging=debug") as product:
        product.wait_until_capturing()
        output = product.log.read_text()
    for text in ("Bellflower ", "Visit me", "Store:", "Actions", "Broker:", "Registered tasks", "Settings"):
        assert text not in output


def test_unix_socket_is_served_and_removed(redis_server: Redis, socket_folder: Path) -> None:
    path = socket_folder / "flower.sock"
    with ProductWithOptions(redis_server.url, f"--unix-socket={path}") as product:
        assert f"Visit me via unix socket file: {path}" in product.log_text()
        assert stat.S_IMODE(path.stat().st_mode) == 0o777
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://any") as client:
            assert client.get("/healthcheck").text == "OK"
            assert client.get("/tasks").status_code == 200
        assert product.end(signal.SIGTERM) == 0
        assert not path.exists()


def test_unix_socket_stale_in_use_or_not_a_socket(redis_server: Redis, socket_folder: Path) -> None:
    path = socket_folder / "flower.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    with ProductWithOptions(redis_server.url, f"--unix-socket={path}") as first:
        second = subprocess.run(
            [*ProductWithOptions(redis_server.url, f"--unix-socket={path}").command()],
            env=first.environment(), capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert second.returncode == 1
        assert f"Cannot listen on the Unix socket {path}: Address already in use" in second.stderr
        assert path.exists()
        assert first.end(signal.SIGTERM) == 0
    path.write_text("precious")
    third = subprocess.run(
        first.command(), env=first.environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert third.returncode == 1
    assert "not a socket" in third.stderr
    assert path.read_text() == "precious"


def test_tls_is_served(redis_server: Redis, pem: tuple[Path, Path]) -> None:
    cert, key = pem
    with ProductWithOptions(
        redis_server.url, "--port=0", f"--certfile={cert}", f"--keyfile={key}", f"--ca-certs={cert}"
    ) as product:
        url = product.log_text().partition("Visit me at ")[2].split()[0]
        assert url.startswith("https://127.0.0.1:")
        tls_context = ssl.create_default_context(cafile=str(cert))
        assert httpx.get(f"{url}/healthcheck", verify=tls_context).text == "OK"
        with pytest.raises(httpx.TransportError):
            httpx.get(url.replace("https", "http"))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--certfile=CERT", "--keyfile=/no/such/key"), "keyfile /no/such/key: No such file or directory"),
        (("--certfile=/no/such/cert", "--keyfile=KEY"), "certfile /no/such/cert: No such file or directory"),
        (("--certfile=KEY", "--keyfile=CERT"), "Invalid TLS configuration: "),
        (("--certfile=CERT",), "Both 'certfile' and 'keyfile' are required to enable SSL"),
    ],
)
def test_invalid_tls_files_are_rejected(
    options: tuple[str, ...], text: str, pem: tuple[Path, Path], tmp_path: Path
) -> None:
    from tests.e2e.test_startup import run

    arguments = [option.replace("CERT", str(pem[0])).replace("KEY", str(pem[1])) for option in options]
    completed = run(*arguments, "--port=0", "--broker=memory://", folder=tmp_path)
    assert completed.returncode == 1
    assert text in completed.stderr
    assert "Traceback" not in completed.stderr


def test_log_file_rotates(redis_server: Redis, tmp_path: Path) -> None:
    """Both processes write to it, it is rotated, and nothing is written to standard error."""
    log = tmp_path / "flower.log"
    options = (f"--log-file-prefix={log}", "--log-file-max-size=2000", "--log-file-num-backups=3", "--debug")
    with Product(redis_server.url, *options) as product:
        product.wait_until_capturing()
        for _ in range(60):
            product.get("/api/task/types")
        wait_for("a second file", (tmp_path / "flower.log.1").exists)
        product.signal(signal.SIGTERM)
        assert product.process is not None
        product.process.wait(60)
        output = product.log.read_text()
    files = sorted(tmp_path.glob("flower.log*"))
    assert 2 <= len(files) <= 4
    assert all(file.stat().st_size < 2100 for file in files)
    assert output == ""


def test_log_file_contains_lines_of_the_recorder(tmp_path: Path) -> None:
    log = tmp_path / "flower.log"
    with Product(f"redis://127.0.0.1:{free_port()}/0", f"--log-file-prefix={log}", "--log-to-stderr") as product:
        wait_for("the error in the log file", lambda: "broker unreachable" in log.read_text())
        wait_for("the error on standard error", lambda: "broker unreachable" in product.log.read_text())
    log_text = log.read_text().splitlines()
    (line,) = [line for line in log_text if "broker unreachable" in line]
    assert line.startswith("[W ")
    assert line.count("[W ") == 1
    assert any("Visit me at" in line for line in log_text)


def test_log_file_that_cannot_be_written(tmp_path: Path) -> None:
    from tests.e2e.test_startup import run

    completed = run("--log-file-prefix=/no/such/folder/log", "--port=0", "--broker=memory://", folder=tmp_path)
    assert completed.returncode == 1
    assert completed.stderr == "Error: Cannot write the log file /no/such/folder/log: No such file or directory\n"


def test_proxy_headers_are_trusted_only_with_xheaders(redis_server: Redis) -> None:
    forged = {"X-Real-Ip": "203.0.113.9", "X-Forwarded-For": "203.0.113.8", "X-Forwarded-Proto": "https"}
    for options, seen in (((), "127.0.0.1"), (("--xheaders",), "203.0.113.9")):
        with Product(redis_server.url, "--debug", *options) as product:
            product.http.get("/healthcheck", headers=forged)
            wait_for("the line", lambda log=product.log, seen=seen: f"({seen})" in log.read_text())  # type: ignore[misc]
            if not options:
                assert "203.0.113" not in product.log.read_text()


def test_option_values_may_be_separate_arguments(redis_server: Redis, socket_folder: Path) -> None:
    """And `--version` prints the version of Bellflower, not of Celery."""
    path = socket_folder / "s"
    with ProductWithOptions(
        redis_server.url, "--unix_socket", str(path), "-url-prefix", "deep", "--debug", "false"
    ) as product:
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://any") as client:
            assert client.get("/deep/healthcheck").text == "OK"
        assert "ignored" not in product.log_text()
    version = subprocess.run(
        [*product.command()[: product.command().index("flower") + 1], "--version"],
        env=product.environment(), capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert "Bellflower, version 0." in version.stdout
    assert os.path.exists(path) is False


def test_option_without_value_is_rejected(tmp_path: Path) -> None:
    from tests.e2e.test_startup import run

    for text in (("--port",), ("--db", "--port=3")):
        completed = run(*text, folder=tmp_path)
        assert completed.returncode == 2
        assert "requires a value" in completed.stderr


@pytest.mark.parametrize("module", ["celery", "flower"])
def test_command_of_celery_and_of_python_m_flower(module: str, redis_server: Redis) -> None:
    """`python -m flower … flower …` is the celery program, as in Flower; `celery flower` needs no application."""

    class ProductOfModule(ProductWithOptions):
        def command(self) -> list[str]:
            command = super().command()
            command[command.index("-m") + 1] = module
            if module == "celery":
                index = command.index("-A")
                command[index : index + 2] = ["-b", self.broker]
            return command

    with ProductOfModule(redis_server.url, "--port=0") as product:
        url = product.log_text().partition("Visit me at ")[2].split()[0]
        assert httpx.get(f"{url}/healthcheck").text == "OK"
        assert f"Broker: {redis_server.url}" in product.log_text()
        assert ("shop.add" in product.log_text()) == (module == "flower")
        assert product.end(signal.SIGTERM) == 0
