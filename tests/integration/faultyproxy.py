"""A proxy before the real gateway that does to answers what networks do: cuts, spoils, drops."""
import contextlib

from relay import Relay


def _read_until(stream, mark):
    data = b""
    while mark not in data:
        piece = stream.recv(1 << 16)
        if not piece:
            return None
        data += piece
    return data


def _length(head):
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def _read_chunks(stream, head, data):
    """The message as one that tells its length."""
    body = b""
    while True:
        while b"\r\n" not in data:
            data += stream.recv(1 << 16)
        size, _, data = data.partition(b"\r\n")
        size = int(size, 16)
        while len(data) < size + 2:
            data += stream.recv(1 << 18)
        body, data = body + data[:size], data[size + 2:]
        if size == 0:
            break
    lines = [line for line in head.split(b"\r\n")
             if not line.lower().startswith(b"transfer-encoding:")]
    return b"\r\n".join(lines + [b"Content-Length: %d" % len(body)]), body


def _read_message(stream, has_body=True):
    """Head and body of a request or an answer that tells its length."""
    data = _read_until(stream, b"\r\n\r\n")
    if data is None:
        return None
    head, _, body = data.partition(b"\r\n\r\n")
    if has_body and b"transfer-encoding: chunked" in head.lower():
        return _read_chunks(stream, head, body)
    while has_body and len(body) < _length(head):
        piece = stream.recv(1 << 18)
        if not piece:
            return None
        body += piece
    return head, body


class FaultyProxy(Relay):
    """`change(method, path, head, body)` gives the bytes to answer with, or None to pass the answer
    on as it is; behind bytes that are not a whole answer the connection ends."""

    def __init__(self, port):
        self.change = None
        self.seen = []
        super().__init__(port)

    def serve(self, client):
        with contextlib.suppress(OSError), client, self.connect() as server:
            while self._answer(client, server):
                pass

    def _answer(self, client, server):
        request = _read_message(client)
        if request is None:
            return False
        method, path = request[0].split(b" ")[:2]
        method, path = method.decode(), path.decode()
        server.sendall(request[0] + b"\r\n\r\n" + request[1])
        answer = _read_message(server, has_body=method != "HEAD")
        if answer is None:
            return False
        self.seen.append((method, path))
        changed = self.change(method, path, *answer) if self.change else None
        if changed is None:
            client.sendall(answer[0] + b"\r\n\r\n" + answer[1])
            return True
        client.sendall(changed)
        return changed.startswith(answer[0] + b"\r\n\r\n") and len(changed) == len(
            answer[0]) + 4 + len(answer[1])
