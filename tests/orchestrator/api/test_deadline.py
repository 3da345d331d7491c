import socket
import time

import pytest


def connected(door):
    return socket.create_connection(("127.0.0.1", door.port), timeout=10)


def head(door, *lines):
    return "\r\n".join(
        [*lines, f"Host: 127.0.0.1:{door.port}", f"Authorization: Bearer {door.token}", "", ""]
    ).encode()


def test_300_half_open_sockets_are_dropped_while_requests_are_answered(door):
    half_open = [connected(door) for _ in range(300)]
    try:
        for number, client in enumerate(half_open):
            if number % 2:
                client.sendall(b"GET /health HTTP/1.1\r\nHost: x")
        assert door.ask("GET", "/health").status == 200
        assert all(client.recv(100) == b"" for client in half_open)
        assert door.ask("GET", "/health").status == 200
    finally:
        for client in half_open:
            client.close()


def test_a_body_that_trickles_is_dropped(door):
    with connected(door) as client:
        request = "POST /api/sessions HTTP/1.1"
        client.sendall(
            head(door, request, "Content-Type: application/json", "Content-Length: 1000")
        )
        began = time.monotonic()
        client.settimeout(0.1)
        received = None
        while received is None and time.monotonic() - began < 5:
            try:
                client.sendall(b" ")
                received = client.recv(1000)
            except TimeoutError:
                continue
            except ConnectionError:
                received = b""
        assert received == b""


def test_a_slow_but_steady_body_is_accepted(door):
    with connected(door) as client:
        size = 30 * 4096
        client.sendall(head(door, "POST /api/uploads HTTP/1.1", f"Content-Length: {size}"))
        client.settimeout(0.03)
        for _ in range(29):
            client.sendall(b"x" * 4096)
            with pytest.raises(TimeoutError):
                client.recv(1)
        client.settimeout(10)
        client.sendall(b"x" * 4096)
        assert client.recv(1000).startswith(b"HTTP/1.1 200")


def test_an_endless_header_is_refused(door):
    with connected(door) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nX-Endless: ")
        with pytest.raises(ConnectionError):
            client.sendall(b"x" * 16_000_000)


def test_a_quiet_stream_outlives_the_deadlines(door):
    with connected(door) as client:
        client.sendall(head(door, "GET /api/stream HTTP/1.1"))
        answer = b""
        while b": hello" not in answer:
            answer += client.recv(65_536)
        client.settimeout(1.2)
        with pytest.raises(TimeoutError):
            client.recv(1)


def test_a_pipelined_request_behind_a_stream_does_not_end_it(door):
    with connected(door) as client:
        client.sendall(
            head(door, "GET /api/stream HTTP/1.1")
            + head(door, "GET /health HTTP/1.1")
            + b"GET /health HTTP/1.1\r\nHost"
        )
        answer = b""
        while b": hello" not in answer:
            answer += client.recv(65_536)
        client.settimeout(1.2)
        with pytest.raises(TimeoutError):
            client.recv(1)


def test_an_idle_kept_connection_outlives_the_deadlines(door):
    with connected(door) as client:
        client.sendall(head(door, "GET /health HTTP/1.1"))
        assert b"200 OK" in client.recv(65_536)
        client.settimeout(1.2)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(10)
        client.sendall(head(door, "GET /health HTTP/1.1"))
        assert b"200 OK" in client.recv(65_536)


def test_stray_line_ends_do_not_keep_a_connection(door):
    with connected(door) as client:
        client.sendall(head(door, "GET /health HTTP/1.1"))
        assert b"200 OK" in client.recv(65_536)
        client.sendall(b"\r\n")
        client.settimeout(3)
        assert client.recv(1) == b""


def test_blanks_after_a_header_value_do_not_count(door):
    with connected(door) as client:
        client.sendall(f"GET /health HTTP/1.1\r\nHost: 127.0.0.1:{door.port} \t\r\n\r\n".encode())
        assert b"200 OK" in client.recv(65_536)
