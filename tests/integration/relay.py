"""Another way to a port of this machine, on which connections can be treated badly."""
import contextlib
import socket
import threading


class Relay:
    """Passes on what comes, both ways, each way in a thread of its own."""

    def __init__(self, port, address=("127.0.0.1", 0)):
        self.target = port
        self._listener = socket.create_server(address)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def connect(self):
        server = socket.create_connection(("127.0.0.1", self.target))
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return server

    def serve(self, client):
        """What is done with a connection."""
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        server = self.connect()
        threading.Thread(target=self._pass, args=(client, server, True), daemon=True).start()
        self._pass(server, client, False)

    def pieces(self, source, is_up):
        """What is to be passed on of what `source` sends; behind it the connection ends."""
        while data := source.recv(1 << 18):
            yield data

    def _pass(self, source, sink, is_up):
        with contextlib.suppress(OSError):
            for data in self.pieces(source, is_up):
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self):
        self._listener.close()
