"""`tlapp serve` itself: without TensorFlow, stopped by a signal, and a sentence for what cannot be served."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys

import pytest
from helpers.served import Client, picture

from tlapp.cli.main import run

WITHOUT = """
import sys
sys.modules.update(dict.fromkeys(("tensorflow", "keras", "tf_keras", "keras_cv", "tensorflow_hub")))  # None: not to be imported
from tlapp.cli.main import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize(("name", "number"), [("int8", signal.SIGTERM), ("whole", signal.SIGINT)])
def test_an_export_is_served_without_tensorflow_until_a_signal(colours, name, number):
    command = [sys.executable, "-c", WITHOUT, "serve", str(colours / name), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        client = Client(int(line.partition("http://127.0.0.1:")[2].partition("/")[0]))
        assert client.predict(picture("green"))[1]["predictions"][0]["label"] == "green"
        assert b"Try the model" in client.ask("GET", "/")[1]
        assert client.ask("GET", "/v1/model")[1]["heat_maps"]["available"] == (name == "whole")
        process.send_signal(number)
        out, error = process.communicate(timeout=30)
    finally:
        process.kill()
    export = colours / name if name == "int8" else colours / name / "export" / "tflite"
    notes = "" if name == "int8" else f"note: {export} (quantize: none) answers for the run\n"
    assert line.startswith(f"{export} answers at http://127.0.0.1:")
    assert (process.returncode, out, error) == (0, "", f"{notes}stopped\n")


def refused(capfd, *words):
    assert run(["serve", *map(str, words)]) == 2
    return capfd.readouterr().err.removeprefix("tlapp: ").removesuffix("\n")


def test_a_port_in_use(colours, capfd):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        sentence = refused(capfd, colours / "float", "--port", port)
    assert sentence == f"--port {port}: another program listens there; choose another port, or 0 for any that is free"


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_others_reach_it_only_with_a_token(colours, capfd, host):
    sentence = refused(capfd, colours / "float", "--host", host, "--port", 0)
    why = "others can reach the server there, so it needs --token-file with a token that they must give"
    assert sentence == f"--host {host}: {why}"


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot be read: No such file"), (b"short", "at least 16 characters"), (b"a" * 9 + b" " + b"b" * 9, "one word"),
     (b"\xff" * 20, "is not text"), (b"", "at least 16")],
)  # fmt: skip
def test_a_token_must_be_one(colours, capfd, tmp_path, content, words):
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    sentence = refused(capfd, colours / "float", "--token-file", path, "--port", 0)
    assert sentence.startswith(f"--token-file {path}: ")
    assert words in sentence


def test_what_is_no_model(capfd, tmp_path):
    assert refused(capfd, tmp_path / "none", "--port", 0) == f"{tmp_path / 'none'}: there is no such file or folder"
    assert "is neither a run nor an export" in refused(capfd, tmp_path, "--port", 0)
    assert refused(capfd, tmp_path, "--port", 70000).startswith("--port 70000: 70000 is not in the range")


def test_an_address_that_is_none(colours, capfd):
    assert "--host" in refused(capfd, colours / "float", "--host", "no such host")


def test_a_missing_package_is_named(colours, capfd, monkeypatch):
    for name in [each for each in sys.modules if each.startswith("tlapp.server")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert refused(capfd, colours / "float") == "tlapp serve needs more packages: pip install 'tlapp[serve]'"
