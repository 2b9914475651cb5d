"""A stretch of network between a client and a server, that can be cut at the worst moment."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum


class Cut(StrEnum):
    """Where the network is cut when a client sends a commit, once."""

    BEFORE = "the commit never arrives"
    LATE = "the client is cut off, and the commit arrives after a while"
    AFTER = "the commit is done, and its answer never arrives"


class Proxy:
    """Forwards to a port of 127.0.0.1. ``cut`` says where it is cut next; None again once it was."""

    def __init__(self, port: int) -> None:
        self._target, self.cut, self.cuts = port, None, 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    cut: Cut | None

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                for work in (self._upwards, self._downwards):
                    threading.Thread(target=work, args=[client, server], daemon=True).start()

    def _upwards(self, client: socket.socket, server: socket.socket) -> None:
        def sent(data: bytes) -> None:
            if self.cut in {Cut.BEFORE, Cut.LATE} and b"commit\0" in data:
                late, self.cut, self.cuts = self.cut is Cut.LATE, None, self.cuts + 1
                _shut(client)
                if late:
                    time.sleep(0.7)
                    server.sendall(data)
                    time.sleep(0.2)
                raise OSError
            server.sendall(data)

        _pump(client, sent, server)

    def _downwards(self, client: socket.socket, server: socket.socket) -> None:
        def answered(data: bytes) -> None:
            if self.cut is Cut.AFTER and b"COMMIT\0" in data:
                self.cut, self.cuts = None, self.cuts + 1
                raise OSError
            client.sendall(data)

        _pump(server, answered, client)


def _pump(source: socket.socket, forward: Callable[[bytes], None], other: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            forward(data)
    _shut(source)
    _shut(other)


def _shut(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
