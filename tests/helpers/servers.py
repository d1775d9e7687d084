"""Real brokers for tests, on free ports and in temporary folders.

Each is a context manager. It can be paused, killed and restarted on the same port with the same data, because tests
cover the loss of the broker."""

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

#: Below the ports that Linux and macOS give to outgoing connections: such a connection of another test could take a
#: free port before the server that it is meant for.
_SERVER_PORTS = range(10_000, 32_768)
_RANDOM = random.SystemRandom()  # a test that sets the seed does not repeat ports


def free_port() -> int:
    while True:
        port = _RANDOM.choice(_SERVER_PORTS)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def wait_for(what: str, ready: Callable[[], object], timeout: float = 60.0) -> None:
    """Poll until `ready` is true. Raises TimeoutError with `what` in its message."""
    deadline = time.monotonic() + timeout
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} was not ready after {timeout:.0f} s")
        time.sleep(0.05)


def port_open(port: int) -> bool:
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex(("127.0.0.1", port)) == 0


class Server:
    """A child process with its own folder and process group."""

    name = "server"

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"bellflower-{self.name}-"))
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        #: arguments of Popen: the account of the process
        self.account: dict[str, Any] = {}

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    def ready(self) -> bool:
        return port_open(self.port)

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                env=self.environment(),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
                start_new_session=True,
                **self.account,
            )

        def ready() -> bool:
            assert self.process is not None
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} exited during startup: {self.log.read_text()[-2000:]}")
            return self.ready()

        wait_for(self.name, ready)

    def signal(self, number: int) -> None:
        """Send a signal to the process group. STOP and CONT simulate a broker that hangs, KILL one that crashes."""
        assert self.process is not None
        os.killpg(self.process.pid, number)

    def stop(self) -> None:
        if self.process is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                self.signal(number)
                self.process.wait(20)
                break
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue
        self.process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class BrokerServer(Server):
    """A server with an address that Celery accepts."""

    @property
    def url(self) -> str:
        raise NotImplementedError


class Redis(BrokerServer):
    name = "redis"

    def __init__(self, *options: str) -> None:
        super().__init__()
        self.options = options

    def command(self) -> list[str]:
        return [
            "redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder),
            "--save", "", "--appendonly", "no", *self.options,
        ]  # fmt: skip

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"


class TlsRedis(Redis):
    """A Redis that accepts TLS only, with a self-signed certificate."""

    def __init__(self) -> None:
        super().__init__()
        self.ca, self.key, self.certificate = (self.folder / name for name in ("ca.crt", "server.key", "server.crt"))
        make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
        names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        subprocess.run(
            [*make, *names, "-keyout", str(self.key), "-out", str(self.certificate)], check=True, capture_output=True
        )
        shutil.copy(self.certificate, self.ca)
        self.options = (
            "--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "no", "--tls-ca-cert-file", str(self.ca),
            "--tls-cert-file", str(self.certificate), "--tls-key-file", str(self.key),
        )  # fmt: skip

    @property
    def url(self) -> str:
        return f"rediss://127.0.0.1:{self.port}/0"


class Sentinel(BrokerServer):
    """A Redis Sentinel with one master, named `shop`."""

    name = "sentinel"

    def __init__(self, master: Redis) -> None:
        super().__init__()
        (self.folder / "sentinel.conf").write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {self.folder}\nsentinel monitor shop 127.0.0.1 {master.port} 1\n"
        )

    def command(self) -> list[str]:
        return ["redis-server", str(self.folder / "sentinel.conf"), "--sentinel"]

    @property
    def url(self) -> str:
        return f"sentinel://127.0.0.1:{self.port}/0"


class RabbitMQ(BrokerServer):
    """A RabbitMQ node with its own name, data, cookie and epmd port, optionally with the management plugin."""

    name = "rabbitmq"

    def __init__(self, *, management: bool = False) -> None:
        super().__init__()
        self.epmd = free_port()
        self.distribution = free_port()
        self.management = free_port() if management else None
        self.node = f"bellflower{self.port}@localhost"
        (self.folder / "home").mkdir()
        (self.folder / "enabled_plugins").write_text("[rabbitmq_management]." if management else "[].")
        (self.folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\nvm_memory_high_watermark.absolute = 2GB\n"
            "disk_free_limit.absolute = 50MB\n"
            + (f"management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {self.management}\n" if management else "")
        )

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "HOME": str(self.folder / "home"),
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self.distribution),
            "ERL_EPMD_PORT": str(self.epmd),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "logs"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2",
        }

    def command(self) -> list[str]:
        # Debian's wrapper switches to the user `rabbitmq` and its fixed folders; the script behind it does not.
        script = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
        return [str(script) if script.exists() else "rabbitmq-server"]

    def ready(self) -> bool:
        management_ready = self.management is None or port_open(self.management)
        return management_ready and port_open(self.port) and b"completed with" in self.log.read_bytes()

    def stop(self) -> None:
        super().stop()
        # epmd leaves the process group by design.
        subprocess.run(["pkill", "-f", f"epmd.*{self.epmd}"], check=False)
        environment = {**self.environment(), "PATH": os.environ.get("PATH", "")}
        subprocess.run(["epmd", "-kill"], env=environment, check=False, capture_output=True)

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"
