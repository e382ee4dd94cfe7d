"""A server under bad and many requests: it refuses in a sentence, holds what it promised, and goes on."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from helpers.served import NAMES, Stub, form, picture, running, stubbed, until, waiting

from tlapp.server.bodies import Room
from tlapp.server.limits import Limits, Problem

RED = picture("red")
HEAD = "POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"


def head(length):
    return f"{HEAD}Content-Length: {length}\r\n\r\n".encode()


def connected(client):
    return socket.create_connection(("127.0.0.1", client.port), timeout=20)


def rest(connection):
    """All that comes until the other side closes."""
    parts = []
    try:
        while part := connection.recv(1 << 16):
            parts.append(part)
    except ConnectionError:
        pass
    return b"".join(parts)


@pytest.fixture
def stub():
    return Stub()


def test_a_body_without_a_length_is_stopped_at_the_limit(stub):
    with running(stubbed(stub), Limits(bytes=100_000)) as client, connected(client) as connection:
        connection.sendall(f"{HEAD}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n".encode())
        for _ in range(30):
            connection.sendall(b"2000\r\n" + bytes(0x2000) + b"\r\n")
        connection.sendall(b"0\r\n\r\n")
        assert b" 413 " in rest(connection)
        with connected(client) as endless, pytest.raises(OSError):  # one that never ends is cut off
            endless.sendall(f"{HEAD}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n".encode())
            for _ in range(3000):
                endless.sendall(b"2000\r\n" + bytes(0x2000) + b"\r\n")
        assert client.predict(RED)[0] == 200


def test_a_client_that_waits_for_leave_is_told_before_it_sends(stub):
    with running(stubbed(stub), Limits(bytes=1000)) as client, connected(client) as connection:
        connection.sendall(f"{HEAD}Content-Length: 5000\r\nExpect: 100-continue\r\n\r\n".encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_a_slow_body_and_a_slow_head_are_not_waited_for(stub):
    with running(stubbed(stub), Limits(seconds=0.3)) as client:
        with connected(client) as connection:
            connection.sendall(head(1000) + b"x")
            answer = rest(connection)
            assert b" 408 " in answer
            assert b"did not arrive within 0.3 seconds" in answer
        for beginning in (b"", b"POST /v1/pre"):
            with connected(client) as connection:
                connection.sendall(beginning)
                assert rest(connection) == b""
        with connected(client) as connection:  # refused by its length, and then it sends for ever
            connection.sendall(head(10**9))
            with pytest.raises(OSError):
                for _ in range(2000):
                    connection.sendall(bytes(1000))
                    time.sleep(0.01)
        assert client.predict(RED)[0] == 200


def test_what_is_no_request_is_refused(stub):
    with running(stubbed(stub), Limits()) as client:
        for content in (b"\x00\x01\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"A: " + b"a" * 100_000 + b"\r\n\r\n"):
            with connected(client) as connection:
                connection.sendall(content)
                answer = rest(connection)
                assert b" 400 " in answer
                assert answer.endswith(b'{"error": "what came is no request of HTTP/1.1, or its head is too long"}')
        assert client.predict(RED)[0] == 200


def test_a_body_that_is_cut_off_is_forgotten(stub):
    with running(stubbed(stub), Limits(queue=1)) as client:
        for _ in range(3):
            with connected(client) as connection:
                connection.sendall(head(1000) + b"x")
        until(lambda: client.predict(RED)[0] == 200)
    assert stub.asked == 1


def test_a_full_queue_says_when_to_come_again(stub):
    stub.go.clear()
    with running(stubbed(stub), Limits(queue=3)) as client, ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(client.predict, picture(each)) for each in NAMES]
        until(lambda: waiting(client) == 3)
        status, content, headers = client.ask("POST", "/v1/predict", RED, "image/png")
        assert (status, headers["Retry-After"]) == (503, "1")
        assert content["error"].endswith("try again in a second")
        assert client.ask("GET", "/healthz")[0] == 200
        stub.go.set()
        assert [each.result()[1]["predictions"][0]["label"] for each in asked] == list(NAMES)
        assert client.predict(RED)[0] == 200
        assert waiting(client) == 0


def test_pictures_count_in_the_queue_and_not_only_requests(stub):
    stub.go.clear()
    (two, kind), (three, _) = form(("a", RED), ("b", RED)), form(("a", RED), ("b", RED), ("c", RED))
    with running(stubbed(stub), Limits(queue=4)) as client, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(client.predict, two, kind)
        until(lambda: waiting(client) == 2)
        assert client.predict(three, kind) == (
            503, {"error": "2 examples wait already, and the queue holds 4; try again in a second"}
        )  # fmt: skip
        stub.go.set()
        assert asked.result()[0] == 200
        assert client.predict(three, kind)[0] == 200


def test_an_answer_that_takes_too_long_is_not_waited_for(stub):
    stub.go.clear()
    with running(stubbed(stub), Limits(seconds=0.3)) as client:
        status, content = client.predict(RED)
        assert (status, "no answer within 0.3 seconds" in content["error"]) == (503, True)
        stub.go.set()
        until(lambda: waiting(client) == 0)
        assert client.predict(RED)[0] == 200


def test_nothing_is_computed_for_a_client_that_has_gone(stub):
    stub.go.clear()
    with running(stubbed(stub), Limits()) as client, connected(client) as first:
        first.sendall(head(len(RED)) + RED)
        until(lambda: stub.asked == 1)
        for _ in range(5):
            with connected(client) as connection:
                connection.sendall(head(len(RED)) + RED)
                until(lambda: waiting(client) > 1)
        cut = 'tlapp_requests_total{path="/v1/predict",status="400"} 5'
        until(lambda: cut in client.ask("GET", "/metrics")[1].decode())
        stub.go.set()
        until(lambda: waiting(client) == 0)
    assert stub.asked == 1


def test_what_fails_inside_is_told_and_the_next_is_answered(stub, caplog):
    with running(stubbed(stub), Limits()) as client:
        stub.error = ZeroDivisionError("a secret")
        status, content = client.predict(RED)
        assert (status, content) == (500, {"error": "something is wrong in the server; its log has the details"})
        stub.error = None
        assert client.predict(RED)[0] == 200
    assert "a secret" in caplog.text


def test_requests_under_way_are_answered_when_the_server_stops(stub):
    stub.go.clear()
    with running(stubbed(stub), Limits()) as client, ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(client.predict, picture(each)) for each in ("red", "blue")]
        until(lambda: waiting(client) == 2)
        client.server.stop()
        until(lambda: is_closed(client))
        stub.go.set()
        assert [each.result()[1]["predictions"][0]["label"] for each in asked] == ["red", "blue"]


def is_closed(client):
    try:
        connected(client).close()
    except OSError:
        return True
    return False


def test_memory_has_a_bound():
    limits = Limits(bytes=10, queue=3)
    room = Room(limits)
    with room.entered() as first, room.entered() as second:
        first(40)
        second(40)
        with pytest.raises(Problem, match="fill the memory"):
            first(1)
        with room.entered(), pytest.raises(Problem, match="3 requests"), room.entered():
            pass
    with room.entered() as first:
        first(limits.held)


def test_good_requests_among_bad_ones_are_answered_right(stub):
    draw, bodies = random.Random(3), {name: picture(name) for name in NAMES}
    bad = ("broken", "truncated", "oversized", "slow", "cut off")
    kinds = [draw.choice(bad) if draw.random() < 0.2 else "good" for _ in range(300)]
    with running(stubbed(stub, 2), Limits(bytes=10_000, seconds=0.3, queue=32, workers=2)) as client:

        def one(number):
            kind, name = kinds[number], NAMES[number % 3]
            body = bodies[name]
            if kind in ("slow", "cut off"):
                with connected(client) as connection:
                    connection.sendall(head(len(body)) + body[:-20])
                    return kind, b" 408 " in rest(connection) if kind == "slow" else True
            sent = {"broken": b"?" * 50, "truncated": body[:-30], "oversized": bytes(20_000), "good": body}[kind]
            status, content = client.predict(sent)
            wanted = {"broken": 422, "truncated": 422, "oversized": 413, "good": 200}[kind]
            return kind, status == wanted and (kind != "good" or content["predictions"][0]["label"] == name)

        with ThreadPoolExecutor(8) as pool:
            results = Counter(pool.map(one, range(300)))
        assert waiting(client) == 0
        assert threading.active_count() < 40
    assert {kind for kind, _ in results} == {"good", *bad}
    assert [key for key in results if not key[1]] == []
