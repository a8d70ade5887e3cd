"""What the service refuses, how, and what it costs nobody else."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from twinpix.encoder.errors import InputError
from twinpix.pipeline.service.keys import new_key, read_keys

Draw = Callable[..., bytes]
CAP, HOST = 1_000_000, "127.0.0.1"
PNG = {"content-type": "image/png"}


def form(*parts: bytes, boundary: str = "x", end: bytes = b"--x--\r\n") -> tuple[bytes, dict[str, str]]:
    """A form as it is sent."""
    return b"".join(b"--x\r\n" + part + b"\r\n" for part in parts) + end, {
        "content-type": f"multipart/form-data; boundary={boundary}"
    }


def field(name: bytes, value: bytes) -> bytes:
    """A part of a form."""
    return b'Content-Disposition: form-data; name="' + name + b'"\r\n\r\n' + value


FORMS = {
    "another field": form(field(b"picture", b"x")),
    "an option": form(field(b"threshold", b"0.5")),
    "two pictures": form(field(b"image", b"x"), field(b"image", b"x")),
    "10,000 fields": form(*[field(b"%d" % i, b"x") for i in range(10_000)]),
    "no field": form(),
    "breaks off": form(field(b"image", b"x"), end=b""),
    "no boundary": (b"--x\r\n", {"content-type": "multipart/form-data"}),
    "long boundary": form(field(b"image", b"x"), boundary="x" * 100),
    "no name": form(b"Content-Type: image/png\r\n\r\nx"),
    "long header": form(b"X: " + b"y" * 10_000 + b"\r\n" + field(b"image", b"x")),
    "not a form": (b"\x00\xff" * 500, {"content-type": "multipart/form-data; boundary=x"}),
    "a colon missing": form(b"Content-Disposition form-data\r\n\r\nx"),
}
PICTURES = {
    "empty": (b"", 415, "empty_file"),
    "text": (b"no picture at all", 415, "not_an_image"),
    "photoshop": (b"8BPS" + bytes(100), 415, "unsupported_format"),
    "a half": (None, 422, "corrupt"),
    "too large": (b"", 422, "too_large"),
}
PARAMETERS = (
    "threshold=much", "threshold=-1", "threshold=2.01", "threshold=nan", "threshold=inf", "threshold=", "threshold=1_0",
    "threshold=%D9%A1",
    "verify=maybe", "verify=true&verify=true", "limit=3", "%00=1", "a" * 3000 + "=1",
)  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_a_malformed_form_is_refused_in_one_sentence(served: Any, name: str) -> None:
    body, headers = FORMS[name]
    answer = served.ask("POST", "/check", content=body, headers=headers)
    refused(answer, 400, "form")


@pytest.mark.parametrize("name", PICTURES)
def test_what_is_no_sound_picture_is_refused_with_a_reason(served: Any, draw: Draw, name: str) -> None:
    data, status, reason = PICTURES[name]
    if data is None:
        data = draw(1, "JPEG")[:2000]
    if name == "too large":
        data = draw(1, "JPEG", (1200, 900), quality=30)
    refused(served.ask("POST", "/check", content=data, headers=PNG), status, reason)
    refused(served.ask("POST", "/images", content=data, headers=PNG), status, reason)
    assert f'twinpix_unreadable_pictures_total{{reason="{reason}"}}' in served.ask("GET", "/metrics").text


@pytest.mark.parametrize("query", PARAMETERS)
def test_parameters_that_are_not_understood_are_refused(served: Any, draw: Draw, query: str) -> None:
    refused(served.ask("POST", f"/check?{query}", content=draw(1), headers=PNG), 400, "parameter")


@pytest.mark.parametrize(
    "request_line",
    [
        b"\x16\x03\x01\x02\x00",
        b"GET /health HTTP/1.1\r\nX: " + b"a" * 300_000,
        b"POST /check HTTP/1.1\r\nContent-Length: -1",
    ],
)
def test_what_is_no_http_is_refused_as_all_else(served: Any, request_line: bytes) -> None:
    with connected(served) as raw:
        with suppress(OSError):
            raw.sendall(request_line + b"\r\n\r\n")
        answer = b""
        with suppress(ConnectionResetError):
            while part := raw.recv(1000):
                answer += part
    assert answer.startswith(b"HTTP/1.1 400") and b"application/problem+json" in answer and b'"reason":"http"' in answer


def test_answers_that_nobody_takes_are_given_up(served: Any) -> None:
    with connected(served) as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with suppress(OSError):
            raw.settimeout(1)
            for _ in range(3000):
                raw.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % served.port)
        began = time.monotonic()
        while open_connections(served) > 1:  # the one that asks
            assert time.monotonic() - began < 10
            time.sleep(0.2)


def open_connections(served: Any) -> float:
    """As the service counts them."""
    text = served.ask("GET", "/metrics").text
    return float(next(line.split()[1] for line in text.splitlines() if line.startswith("twinpix_connections")))


def test_other_refusals(served: Any, draw: Draw) -> None:
    refused(served.ask("POST", "/check", content=draw(1), headers={"content-type": "text/plain"}), 415, "media_type")
    refused(served.ask("POST", "/check", content=draw(1)), 415, "media_type")
    refused(served.ask("GET", "/search"), 400, "parameter")
    refused(served.ask("GET", f"/search?id={'0' * 32}&k=0"), 400, "parameter")
    for name in ("..%2f..%2fetc", "%00", "x" * 2000, "A" * 32):
        assert served.ask("DELETE", f"/images/{name}").status_code == 404
    assert served.ask("PUT", "/check").headers["allow"] == "POST"
    refused(served.ask("PUT", "/check"), 405, "no_such_method")
    refused(served.ask("GET", "/nowhere"), 404, "no_such_address")


def refused(answer: Any, status: int, reason: str | None = None) -> None:
    """A problem, told as it should be."""
    told = answer.json()
    assert (answer.status_code, told.get("reason")) == (status, reason), answer.text
    assert answer.headers["content-type"] == "application/problem+json" and told["status"] == status
    assert 5 < len(told["detail"]) < 400 and "Traceback" not in answer.text and "/tmp" not in answer.text


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_over_the_cap_is_refused_before_it_is_read(served: Any, announced: bool) -> None:
    before = served.received()
    how = f"Content-Length: {20 * CAP}" if announced else "Transfer-Encoding: chunked"
    with connected(served) as raw:
        raw.sendall(head(served, how))
        with suppress(OSError):
            for _ in range(20 * CAP >> 16):
                raw.sendall(bytes(1 << 16) if announced else b"10000\r\n" + bytes(1 << 16) + b"\r\n")
        assert raw.recv(12) == b"HTTP/1.1 413"
    assert served.received() - before < CAP + 1_000_000


def test_slow_clients_are_sent_away(served: Any) -> None:
    with connected(served) as raw:
        raw.sendall(head(served, "Content-Length: 1000") + b"x")
        began = time.monotonic()
        assert raw.recv(12) == b"HTTP/1.1 408" and 1 < time.monotonic() - began < 5
    with connected(served) as raw:
        raw.sendall(b"GET /health HT")
        assert raw.recv(100) == b""


def test_a_full_queue_says_so_at_once_and_health_is_not_slowed(served: Any, draw: Draw) -> None:
    over, statuses = threading.Event(), list[int]()

    def besiege(data: bytes) -> None:
        while not over.is_set():
            answer = served.ask("POST", "/check", content=data, headers={"content-type": "image/jpeg"})
            statuses.append(answer.status_code)
            if answer.status_code == 429:
                assert answer.headers["retry-after"]

    slow = [connected(served) for _ in range(60)]
    for one in slow:
        one.sendall(head(served, "Content-Length: 1000"))
    uploads = [draw(seed, "JPEG", (1100, 800), quality=90) for seed in range(10)]
    threads = [threading.Thread(target=besiege, args=(data,)) for data in uploads]
    for thread in threads:
        thread.start()
    began = time.monotonic()
    while 429 not in statuses and time.monotonic() - began < 20:
        time.sleep(0.05)
    seconds = [health(served) for _ in range(150)]
    over.set()
    for thread in threads:
        thread.join()
    for one in slow:
        one.close()
    assert set(statuses) == {200, 429}
    assert np.percentile(seconds, 90) < 0.1, np.percentile(seconds, [50, 90, 99])  # p99, in peace: service_soak.py


def health(served: Any) -> float:
    """Seconds that it takes."""
    began = time.perf_counter()
    connection = http.client.HTTPConnection(HOST, served.port, timeout=10)
    connection.request("GET", "/health")
    assert connection.getresponse().status == 200
    connection.close()
    return time.perf_counter() - began


def connected(served: Any) -> socket.socket:
    """A bare connection."""
    return socket.create_connection((HOST, served.port), 20)


def head(served: Any, *more: str) -> bytes:
    """The headers of an upload."""
    lines = ["POST /check HTTP/1.1", f"Host: {HOST}:{served.port}", "Content-Type: image/png", *more]
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"


def test_other_hosts_and_other_sites_are_refused(served: Any) -> None:
    refused(served.ask("GET", "/health", headers={"host": "evil.example"}), 421, "host")
    refused(served.ask("POST", "/images", headers={"origin": "https://evil.example"}), 403, "origin")
    refused(served.ask("DELETE", f"/images/{'0' * 32}", headers={"sec-fetch-site": "cross-site"}), 403, "origin")
    assert served.ask("GET", "/health", headers={"origin": served.address}).status_code == 200


def test_too_many_connections_push_out_the_idle_ones(serve: Any, tmp_path: Path) -> None:
    with serve(tmp_path / "library", "--connections", "20") as running:
        idle = [connected(running) for _ in range(100)]
        assert health(running) < 5
        assert running.stop() == 0
        for one in idle:
            one.close()


def test_with_keys_only_they_open_it(serve: Any, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    key = new_key(keys, "shop")
    assert key not in keys.read_text() and keys.stat().st_mode & 0o77 == 0
    assert read_keys(keys).open_to(key) and not read_keys(keys).open_to(key[:-1])
    with serve(tmp_path / "library", "--keys", str(keys)) as running:
        assert running.ask("GET", "/health").status_code == 200
        for headers in (
            {},
            {"x-api-key": "tpx_wrong"},
            {"authorization": "Bearer"},
            {"authorization": f"Basic {key}"},
        ):
            answer = running.ask("GET", "/metrics", headers=headers)
            refused(answer, 401, "key")
            assert answer.headers["www-authenticate"] == "Bearer"
        for headers in ({"x-api-key": key}, {"authorization": f"bearer {key}"}):
            assert running.ask("GET", "/metrics", headers={**headers, "host": "any.example"}).status_code == 200
        assert running.ask("GET", "/openapi.json").json()["security"]


def test_keys_that_are_none_are_said(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("# mine\n")
    with pytest.raises(InputError, match="holds no keys"):
        read_keys(tmp_path / "keys")
    (tmp_path / "keys").write_text("shop hunter2\n")
    with pytest.raises(InputError, match="line 1: not a key"):
        read_keys(tmp_path / "keys")
    with pytest.raises(InputError, match="is no name"):
        new_key(tmp_path / "keys", "../x")
    (tmp_path / "keys").unlink()
    new_key(tmp_path / "keys", "shop")
    with pytest.raises(InputError, match="already"):
        new_key(tmp_path / "keys", "shop")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--host", "0.0.0.0"), "--anyone"),
        (("--keys", "nowhere"), "can't be read"),
        (("--host", "192.0.2.1", "--anyone"), "--host"),
        (("--new-key", "shop"), "--keys"),
    ],
)
def test_what_can_not_be_served_is_said_in_one_line(
    command: Any, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    done: subprocess.CompletedProcess[str] = command("twinpix", "serve", "--library", tmp_path / "library", *options)
    assert done.returncode == 2 and said in done.stderr and len(done.stderr.splitlines()) == 1


def test_it_stops_gracefully(serve: Any, draw: Draw, tmp_path: Path) -> None:
    with serve(tmp_path / "library", "--workers", "1") as running:
        for seed in range(8):
            running.add(draw(seed), "?verify=false")
        with connected(running) as raw:
            data = draw(3, "JPEG", (900, 700), quality=95)
            raw.sendall(head(running, f"Content-Length: {len(data)}") + data)
            time.sleep(0.15)
            running.process.send_signal(signal.SIGTERM)
            answer = b""
            while part := raw.recv(1 << 16):
                answer += part
        assert answer.startswith(b"HTTP/1.1 200") and json.loads(answer.partition(b"\r\n\r\n")[2])["duplicate"]
        assert running.process.wait(20) == 0
        with pytest.raises(OSError):
            connected(running)


def test_container_and_compose_name_options_that_there_are(command: Any) -> None:
    yaml = pytest.importorskip("yaml")
    folder = Path(__file__).parents[3] / "pipeline" / "service"
    services = yaml.safe_load((folder / "compose.yaml").read_text())["services"]
    (line,) = (line for line in (folder / "Containerfile").read_text().splitlines() if line.startswith('CMD ["serve'))
    told = command("twinpix", "serve", "--help", env={"COLUMNS": "200", "NO_COLOR": "1"}).stdout
    for words in (services["twinpix"]["command"], json.loads(line.removeprefix("CMD "))):
        assert words[0] == "serve" and all(word in told for word in words if word.startswith("--"))
    assert services["twinpix"]["read_only"] and "milvus" in services


def test_a_connection_that_pauses_between_requests_is_kept(served: Any) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
    connection.connect()
    same = connection.sock
    for pause in (0, 3):  # it waits two seconds for a body
        time.sleep(pause)
        connection.request("GET", "/health")
        answer = connection.getresponse()
        assert answer.status == 200 and answer.read()
    assert connection.sock is same
    connection.close()


def test_a_refusal_reaches_a_client_that_still_sends(served: Any) -> None:
    with connected(served) as raw:
        raw.sendall(b"TRACE /check HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Length: 40000\r\n\r\n" % served.port)
        for _ in range(4):  # closed after the first of them, the connection would be reset by the others
            time.sleep(0.05)
            raw.sendall(b"a" * 10_000)
        answer = b""
        while b"problem+json" not in answer:
            answer += raw.recv(1000)
    assert answer.startswith(b"HTTP/1.1 405")
