"""The network between a monitor and the broker: a TCP proxy that delays, stops or closes connections, and a network
namespace whose link to the broker can be cut.

A stopped proxy is a network that drops packets: connections stay open and nothing arrives. A closed one resets all
connections and refuses new ones. In a namespace the kernel does the same: connections survive a short cut."""

import os
import shutil
import socket
import struct
import subprocess
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from tests.helpers.servers import free_port

CHUNK = 16_384


class Proxy:
    """Forwards connections to `target` on this machine. `port` is where clients connect."""

    def __init__(self, target: int, address: str = "127.0.0.1") -> None:
        self.target = target
        self.address = address
        self.port = free_port()
        #: seconds that each chunk of bytes is delayed in either direction
        self.delay = 0.0
        #: bytes per second in either direction; None: unlimited
        self.rate: float | None = None
        self._passing = threading.Event()
        self._passing.set()
        self._listener: socket.socket | None = None
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def open(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((self.address, self.port))
        listener.listen(64)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def close(self) -> None:
        """Refuse new connections and reset the open ones."""
        with self._lock:
            sockets, self._sockets = self._sockets, set()
        if self._listener is not None:
            # Wakes the thread that waits in accept(); close() alone would not.
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        self._passing.set()
        for one in sockets:
            _reset(one)

    def stop(self) -> None:
        """Drop all bytes from now on, silently, and let new connections hang."""
        self._passing.clear()

    def resume(self) -> None:
        """End `stop`: the connections that were open meanwhile are reset, as after a failover."""
        self.close()
        self.open()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self._track(client)
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        self._passing.wait()
        try:
            server = socket.create_connection(("127.0.0.1", self.target), 5)
        except OSError:
            _reset(client)
            return
        server.settimeout(None)
        self._track(server)
        threading.Thread(target=self._forward, args=(client, server), daemon=True).start()
        self._forward(server, client)

    def _track(self, one: socket.socket) -> None:
        with self._lock:
            self._sockets.add(one)

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(CHUNK):
                if self.delay:
                    time.sleep(self.delay)
                if self.rate:
                    time.sleep(len(data) / self.rate)
                self._passing.wait()
                if source not in self._sockets:  # close() resets it
                    return
                target.sendall(data)
        with self._lock:
            both = {source, target} & self._sockets
            self._sockets -= both
        for one in both:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def _reset(one: socket.socket) -> None:
    with suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Wakes the thread in recv() and sends nothing; close() then sends the reset.
        one.shutdown(socket.SHUT_RD)
    one.close()


class NetworkNamespace:
    """A network namespace for a monitor, with two links to the host: one to the broker, which can be cut, and one for
    HTTP and the result backend. Requires root and `ip` (iproute2)."""

    def __init__(self) -> None:
        number = os.getpid() % 250
        self.name = f"bfchaos{os.getpid()}"
        #: addresses of the host on the two links, and of the monitor on the second
        self.broker_address = f"10.213.{number}.1"
        self.host_address, self.monitor_address = f"10.214.{number}.1", f"10.214.{number}.2"
        self._links = {f"bfa{os.getpid()}": self.broker_address, f"bfb{os.getpid()}": self.host_address}

    @staticmethod
    def explain_absence() -> str | None:
        """Why this machine has no network namespaces; None if it has."""
        if os.geteuid() != 0:
            return "only root may create a network namespace"
        if shutil.which("ip") is None:
            return "the command ip (iproute2) is not installed"
        name = f"bftest{os.getpid()}"
        tried = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
        if tried.returncode:
            return f"network namespaces are not permitted: {tried.stderr.strip()}"
        subprocess.run(["ip", "netns", "delete", name], check=False)
        return None

    @property
    def prefix(self) -> tuple[str, ...]:
        """The beginning of a command that runs in the namespace."""
        return ("ip", "netns", "exec", self.name)

    def __enter__(self) -> Self:
        _run_ip("netns", "add", self.name)
        _run_ip(*self.prefix[1:], "ip", "link", "set", "lo", "up")
        for link, address in self._links.items():
            peer = f"{link}p"
            _run_ip("link", "add", link, "type", "veth", "peer", "name", peer, "netns", self.name)
            _run_ip("address", "add", f"{address}/30", "dev", link)
            _run_ip("link", "set", link, "up")
            inside = f"{address.removesuffix('.1')}.2/30"
            _run_ip(*self.prefix[1:], "ip", "address", "add", inside, "dev", peer)
            _run_ip(*self.prefix[1:], "ip", "link", "set", peer, "up")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        _run_ip("netns", "delete", self.name)  # its links are deleted with it

    def cut(self) -> None:
        """Drop all packets between the monitor and the broker."""
        _run_ip("link", "set", next(iter(self._links)), "down")

    def restore(self) -> None:
        _run_ip("link", "set", next(iter(self._links)), "up")


def _run_ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
