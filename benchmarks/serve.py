"""What `tlapp serve` costs: its start, its throughput beside LiteRT called in a loop, and its memory under bad requests.

    python benchmarks/serve.py RUN start                  # seconds until /healthz answers, five whole starts
    python benchmarks/serve.py RUN throughput             # pictures a second, beside LiteRT in a loop on the same cores
    python benchmarks/serve.py RUN soak --requests 10000  # a fifth broken, oversized, slow or cut off

RUN is a run with a TFLite export, or the export. Pictures are those in golden/, as JPEG. The client takes part of the same cores.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

SECONDS = 2.0


class Running:
    """The command, started in a process of its own on a free port."""

    def __init__(self, model: str, *options: str):
        command = [sys.executable, "-m", "tlapp", "serve", model, "--port", "0", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        self.address = ("127.0.0.1", int(line.partition("http://127.0.0.1:")[2].partition("/")[0]))

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.terminate()
        self.process.wait(60)

    def cpu(self) -> float:
        """Seconds of all cores so far."""
        words = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """Resident megabytes."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.partition("VmRSS:")[2].split()[0]) / 1024


def request(body: bytes, kind: str = "image/jpeg", length: int | None = None) -> bytes:
    """A request for a prediction."""
    head = f"POST /v1/predict?top=1 HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
    return f"{head}Content-Length: {len(body) if length is None else length}\r\n\r\n".encode() + body


def answer(connection: socket.socket) -> tuple[int, bytes]:
    """Status and body of the response that comes next; (0, b"") where the connection ends before it is whole."""
    content = b""
    while True:
        head, end, body = content.partition(b"\r\n\r\n")
        if end:
            size = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            if len(body) >= size:
                return int(head.split()[1]), body
        part = connection.recv(1 << 16)
        if not part:
            return 0, b""
        content += part


def pictures(model: str, size: int = 0) -> list[bytes]:
    """Those in golden/ as JPEG, enlarged to `size` pixels a side."""
    folder = next(iter(sorted(Path(model).rglob("golden"))))
    found = []
    for path in sorted(folder.glob("*.png")):
        stream = io.BytesIO()
        image = Image.open(path).convert("RGB")
        (image.resize((size, size)) if size else image).save(stream, "JPEG", quality=90)
        found.append(stream.getvalue())
    return found


def start(model: str) -> None:
    """Median of five whole starts."""
    times = []
    for _ in range(5):
        began = time.perf_counter()
        with Running(model) as server, socket.create_connection(server.address) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert answer(connection)[0] == 200
            times.append(time.perf_counter() - began)
    print(f"start: median {statistics.median(times):.2f} s of {', '.join(f'{each:.2f}' for each in times)}")


def load(port: int, connections: int, size: int, model: str) -> None:
    """Ask for SECONDS by several connections; print how many answers came. A process of its own."""
    bodies, counts, end = [request(each) for each in pictures(model, size)], [0] * connections, time.perf_counter() + SECONDS

    def ask(number: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            while time.perf_counter() < end:
                connection.sendall(bodies[counts[number] % len(bodies)])
                status, _ = answer(connection)
                assert status == 200, status
                counts[number] += 1

    with ThreadPoolExecutor(connections) as pool:
        list(pool.map(ask, range(connections)))
    print(sum(counts))


def throughput(model: str, rounds: int, size: int, connections: int) -> None:
    """Rounds of LiteRT in a loop, once over arrays and once over files that it reads, and of the server.

    By the cores' time the client does not count, and other work on the machine does little; by the clock both count.
    """
    from ai_edge_litert.interpreter import Interpreter

    from tlapp.engine.inputs.images import read_sized

    path = next(iter(sorted(Path(model).rglob("model.tflite"))))
    cores = len(os.sched_getaffinity(0))
    ask = Interpreter(str(path), num_threads=cores).get_signature_runner()
    (name, detail), files = next(iter(ask.get_input_details().items())), pictures(model, size)

    def read(content: bytes) -> np.ndarray:
        return read_sized(content, int(detail["shape"][1]), "squash")[0][None].astype(detail["dtype"])

    def loop(read_too: bool) -> tuple[float, float]:
        arrays, count, began, end = [read(each) for each in files], 0, time.process_time(), time.perf_counter() + SECONDS
        while time.perf_counter() < end:
            ask(**{name: read(files[count % len(files)]) if read_too else arrays[count % len(files)]})
            count += 1
        return count / SECONDS, (time.process_time() - began) / count * 1000

    ratios: dict[str, list[float]] = {"arrays": [], "files": []}
    costs: dict[str, list[float]] = {"arrays": [], "files": [], "served": []}
    with Running(model) as server:
        words = [sys.executable, __file__, model, "load", "--port", str(server.address[1]), "--size", str(size)]
        for _ in range(rounds):
            (arrays, cost), (with_files, cost_with_files), before = loop(False), loop(True), server.cpu()
            out = subprocess.run([*words, "--connections", str(connections)], capture_output=True, text=True, check=True).stdout
            served = int(out) / SECONDS
            for what, each in zip(costs, (cost, cost_with_files, (server.cpu() - before) / int(out) * 1000), strict=True):
                costs[what].append(each)
            ratios["arrays"].append(served / arrays)
            ratios["files"].append(served / with_files)
            print(f"pictures a second: LiteRT on arrays {arrays:.1f}, on files {with_files:.1f}; served {served:.1f}", flush=True)
    cost_of = {what: statistics.median(each) for what, each in costs.items()}
    print("milliseconds of a core a picture:", {what: round(each, 2) for what, each in cost_of.items()})
    for what, each in ratios.items():
        print(
            f"served beside LiteRT in a loop over {what}: {cost_of[what] / cost_of['served']:.2f} by the cores' time; "
            f"by the clock, median {statistics.median(each):.2f} ({min(each):.2f} to {max(each):.2f})"
        )


BAD = ("broken", "truncated", "oversized", "slow", "cut off", "no request")


def soak(model: str, requests: int, threads: int) -> None:
    """Good and bad requests from many connections; what was answered, and the server's memory on the way."""
    files, good, statuses, done = pictures(model), Counter(), Counter(), 0
    lock, draw, memory = threading.Lock(), random.Random(1), []
    kinds = [draw.choice(BAD) if draw.random() < 0.2 else "good" for _ in range(requests)]
    with Running(model, "--timeout", "2", "--max-megabytes", "1", "--queue", str(4 * threads)) as server:
        right = []
        for each in files:
            with socket.create_connection(server.address) as connection:
                connection.sendall(request(each))
                right.append(answer(connection)[1])

        def one(number: int) -> None:
            nonlocal done
            kind, chosen = kinds[number], number % len(files)
            with socket.create_connection(server.address) as connection:
                status, body = send(connection, kind, files[chosen])
            with lock:
                done += 1
                statuses[kind, status] += 1
                if kind == "good":
                    good["right" if body == right[chosen] else "wrong"] += 1
                if done % (requests // 10) == 0:
                    memory.append(server.memory())
                    print(f"{done} requests, {memory[-1]:.0f} MB", flush=True)

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(one, range(requests)))
        assert server.process.poll() is None, "the server ended"
    for (kind, status), count in sorted(statuses.items()):
        print(f"{kind:10} {status or 'closed':>6} {count:6}")
    print(json.dumps({"good": good, "memory_mb": [round(each) for each in memory]}))


def send(connection: socket.socket, kind: str, file: bytes) -> tuple[int, bytes]:
    """One request of a kind; its status and body."""
    try:
        if kind == "good":
            connection.sendall(request(file))
        elif kind == "broken":
            connection.sendall(request(random.randbytes(2000)))
        elif kind == "truncated":
            connection.sendall(request(file[: len(file) // 2]))
        elif kind == "oversized":
            connection.sendall(request(bytes(3_000_000)))
        elif kind == "slow":
            connection.sendall(request(file[:100], length=len(file)))
        elif kind == "cut off":
            connection.sendall(request(file)[:-10])
            return 0, b""
        else:
            connection.sendall(random.randbytes(500) + b"\r\n\r\n")
        return answer(connection)
    except OSError:
        return 0, b""


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("what", choices=["start", "throughput", "soak", "load"])
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=0, help="pixels a side of the pictures; 0: those of the model")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--port", type=int, default=0, help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.what == "start":
        start(words.model)
    elif words.what == "throughput":
        throughput(words.model, words.rounds, words.size, words.connections)
    elif words.what == "soak":
        soak(words.model, words.requests, words.connections)
    else:
        load(words.port, words.connections, words.size, words.model)


if __name__ == "__main__":
    main()
