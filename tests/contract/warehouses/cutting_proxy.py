"""A way to a server that breaks at the worst moment: when a given statement passes, before or after it is answered."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Cutter:
    """Cuts the connection that sends ``word``: ``after`` the server has answered it, or before it gets there. Once."""

    port: int  # of the server
    word: bytes
    after: bool
    cuts: int = 0
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))

    @property
    def here(self) -> int:
        return int(self.listener.getsockname()[1])

    def run(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        server = socket.create_connection(("127.0.0.1", self.port))
        cut = threading.Event()
        threading.Thread(target=self._answers, args=[server, client, cut], daemon=True).start()
        with suppress(OSError):
            while sent := client.recv(1 << 20):
                if self.word in sent and not self.cuts:
                    self.cuts += 1
                    if not self.after:
                        break
                    cut.set()
                server.sendall(sent)
        for end in (client, server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _answers(self, server: socket.socket, client: socket.socket, cut: threading.Event) -> None:
        with suppress(OSError):
            while answer := server.recv(1 << 20):
                if cut.is_set():
                    break
                client.sendall(answer)
            client.shutdown(socket.SHUT_RDWR)


@contextmanager
def cutting(port: int, word: bytes, *, after: bool) -> Iterator[Cutter]:
    cutter = Cutter(port, word, after)
    threading.Thread(target=cutter.run, daemon=True).start()
    try:
        yield cutter
    finally:
        cutter.listener.close()
