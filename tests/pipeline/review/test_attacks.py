"""Bar 13: what is not the page's own request is refused, and nothing from outside the roots is ever sent."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain, product
from pathlib import Path

import pytest

from tests.pipeline.review.conftest import Running
from twinpix.pipeline.review.review import Review

Served = Callable[[Review], Running]
MakeReview = Callable[..., Review]
Command = Callable[..., subprocess.CompletedProcess[str]]
Attack = tuple[str, list[str], bytes]  # what it tries, the lines of its head, its body
END = "Connection: close"
SECRET = b"s3cret-from-outside"
READING = (
    "/api/overview",
    "/api/groups?start=0&count=9",
    "/api/group?at=0",
    "/api/plan",
    "/api/work",
    "/api/next?after=0",
)
ACTING = ("choose", "part", "undo", "threshold", "sure", "apply", "restore")
ESCAPES = (
    "/../../etc/passwd", "/..%2f..%2fetc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/....//etc/passwd", "/app.css/../../x",
    "/api/picture/..%2f..%2fetc%2fpasswd", "/api/picture/../../../etc/passwd", "/api/picture//etc/passwd",
    "/api/picture/%00", "/api/picture/" + "a" * 24, "/api/picture/C:%5CWindows%5Cwin.ini", "//evil.example/share",
    "/api/picture/%5C%5Cevil%5Cshare%5Cx.png", "/\\\\evil\\share", "/api/picture/file:%2f%2f%2fetc%2fpasswd",
    "/api/picture/?size=../full", "/api/group?id=..%2f..", "/api/group?id=/etc/passwd", "/api/group?at=-1",
    "/api/group?at=99999999999999999999", "/api/groups?start=x&count=1", "/api/placement?upper=..&lower=..",
    "/__init__.py", "/index.html", "/server.py", "/page/app.js", "/.git/config", "/favicon.ico", "/api", "/api/",
    "/api/nothing",
    "/api/picture/x/y", "/static/app.css", "/app.js%00.css", "/%c0%ae%c0%ae/etc/passwd", "/app.css?x=<script>",
)  # fmt: skip


def raw(port: int, lines: list[str], body: bytes = b"") -> tuple[int, bytes]:
    """Send bytes as they are; the status of the answer, 0 where the line was cut."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as line:
        line.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        answer = b""
        with suppress(ConnectionResetError):  # refused before all was sent
            while part := line.recv(65536):
                answer += part
    return (int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/") else 0), answer


def attacks(at: Running) -> Iterator[Attack]:
    """Each but for one thing an honest request."""
    yield from on_the_name(at)
    yield from on_reading(at)
    yield from on_acting(at)
    host, token = honest(at)[:2]
    for target in ESCAPES:
        yield f"path {target}", [f"GET {target} HTTP/1.1", host, token, END], b""
        foreign = [f"GET http://evil.example{target} HTTP/1.1", "Host: evil.example", token, END]
        yield f"absolute {target}", foreign, b""
    keys = ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"]
    upgrade = ["Upgrade: websocket", "Connection: Upgrade, close", *keys]
    yield "upgrade", ["GET /api/overview HTTP/1.1", *honest(at), *upgrade], b""


def honest(at: Running) -> list[str]:
    """Host, token and origin, as the page sends them."""
    name = f"127.0.0.1:{at.port}"
    return [f"Host: {name}", f"Authorization: Bearer {at.token}", f"Origin: http://{name}"]


def on_the_name(at: Running) -> Iterator[Attack]:
    """DNS rebinding, and what looks like this machine's name."""
    port, token = at.port, honest(at)[1]
    names = (
        "evil.example", f"evil.example:{port}", f"127.0.0.1.evil.example:{port}", f"localhost.evil.example:{port}",
        f"127.0.0.1:{port + 1}", "127.0.0.1", "localhost", f"0.0.0.0:{port}", f"[::1]:{port}", f"127.1:{port}",
        f"2130706433:{port}", f"LOCALHOST:{port}", f"127.0.0.1:{port}@evil.example", f"127.0.0.1:{port}, evil", "",
    )  # fmt: skip
    for name, target in product(names, (*READING[:2], "/", "/app.js")):
        yield f"host {name}", [f"GET {target} HTTP/1.1", f"Host: {name}", token, END], b""


def on_reading(at: Running) -> Iterator[Attack]:
    """Pages from elsewhere, strangers without the token, and parts of files."""
    host, token, _ = honest(at)
    extras = [f"Origin: {name}" for name in ("null", "http://evil.example", "file://", f"https://127.0.0.1:{at.port}")]
    extras += ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Host: evil.example"]
    extras += [f"Range: bytes={part}" for part in ("0-", "0-99999999999", "-1", ",".join(["0-1"] * 500))]
    strangers = ["", "Authorization: Bearer ", "Authorization: Bearer x", f"Authorization: Bearer {at.token[:-1]}"]
    strangers += [f"Authorization: Basic {at.token}", f"Cookie: token={at.token}", f"X-Token: {at.token}"]
    for target in READING:
        yield "no host", [f"GET {target} HTTP/1.0", token], b""
        for extra in extras:
            yield extra[:40], [f"GET {target} HTTP/1.1", host, token, extra, END], b""
        for stranger in strangers:
            yield f"stranger {stranger}", [f"GET {target} HTTP/1.1", host, *filter(None, [stranger]), END], b""
        asked = f"{target}{'&' if '?' in target else '?'}token={at.token}"
        yield "token in the query", [f"GET {asked} HTTP/1.1", host, END], b""


def on_acting(at: Running) -> Iterator[Attack]:
    """Forged requests that would change something."""
    host, token, own = honest(at)
    body, kind = b'{"id": "x", "going": [], "value": 0, "files": 0}', "Content-Type: application/json"
    length = f"Content-Length: {len(body)}"
    forged = (
        [host, token, kind], [host, token, "Origin: null", kind], [host, token, "Origin: http://evil.example", kind],
        [host, own, kind], [host, token, own, "Content-Type: text/plain"], ["Host: evil.example", token, own, kind],
        [host, token, own, "Content-Type: application/x-www-form-urlencoded"], [host, token, own],
        [host, token, own, kind, "Sec-Fetch-Site: cross-site"], [host, token, own, kind, "Sec-Fetch-Site: none"],
    )  # fmt: skip
    for name in ACTING:
        target = f"/api/{name}"
        yield "mutating GET", [f"GET {target} HTTP/1.1", host, token, own, END], b""
        for method in ("HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND"):
            yield method, [f"{method} {target} HTTP/1.1", host, token, own, kind, length, END], body
        for lines in forged:
            yield f"post {lines[-1][:30]}", [f"POST {target} HTTP/1.1", *lines, length, END], body
    deep, big = b'{"id": ' + b'{"a":' * 50_000, b'{"id": "' + b"x" * (2 << 20) + b'"}'
    number = b'{"value": ' + b"9" * 400 + b"}"
    sent = ["POST /api/threshold HTTP/1.1", host, token, own, kind, END, f"Content-Length: {len(number)}"]
    yield "a number beyond all", sent, number
    for content in (b"", b"[]", b"null", b"{", b"[" * 100_000, deep, b"\xff\xfe", b'{"id": 5}', big):
        sent = ["POST /api/choose HTTP/1.1", host, token, own, kind, END, f"Content-Length: {len(content)}"]
        yield f"body {content[:9]!r}", sent, content
    chunk = b"%x\r\n" % len(big) + big + b"\r\n0\r\n\r\n"
    yield "chunked", ["POST /api/choose HTTP/1.1", host, token, own, kind, END, "Transfer-Encoding: chunked"], chunk


def test_every_attack_is_refused(pictures: Path, served: Served, make_review: MakeReview) -> None:
    at = served(make_review(pictures))
    before = at.request("GET", "/api/overview")
    assert before[0] == 200
    tried = list(attacks(at))
    assert len(tried) >= 200
    passed = []
    for what, lines, body in tried:
        status, answer = raw(at.port, lines, body)
        if (status and not 400 <= status < 500) or str(pictures).encode() in answer or b"root:" in answer:
            passed.append((what, lines[0], status))
    print(f"{len(tried)} attacks, {len(passed)} not refused")
    assert not passed
    assert at.request("GET", "/api/overview") == before  # nothing was changed by any of them


def test_a_link_that_took_a_files_place_leads_nowhere(
    pictures: Path, tmp_path: Path, served: Served, make_review: MakeReview
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.png").write_bytes((pictures / "3.png").read_bytes())
    at = served(make_review(pictures))
    group = json.loads(at.request("GET", "/api/group?at=0")[1])
    ids = {file["name"]: file["id"] for file in group["files"]}
    assert at.request("GET", f"/api/picture/{ids['0.png']}?size=thumb")[0] == 200
    (pictures / "0.png").unlink()
    (pictures / "0.png").symlink_to(outside / "secret.png")
    (pictures / "copies").rename(outside / "copies")
    (pictures / "copies").symlink_to(outside / "copies")
    for name, size in product(ids, ("thumb", "view", "full")):
        status, answer = at.request("GET", f"/api/picture/{ids[name]}?size={size}")
        assert status == 409 and b"symbolic link" in answer, name
    (pictures / "0.png").unlink()
    (pictures / "0.png").write_bytes(SECRET)
    assert at.request("GET", f"/api/picture/{ids['0.png']}?size=thumb")[0] == 409


def test_answers_carry_strict_headers_and_no_paths_in_addresses(
    pictures: Path, served: Served, make_review: MakeReview
) -> None:
    import http.client

    at = served(make_review(pictures))
    for target in ("/", "/app.js", "/api/overview"):
        connection = http.client.HTTPConnection("127.0.0.1", at.port)
        connection.request("GET", target, headers={"Authorization": f"Bearer {at.token}"})
        headers = {name.lower(): value for name, value in connection.getresponse().getheaders()}
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
        assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in headers and "server" not in headers and "set-cookie" not in headers
    group = json.loads(at.request("GET", "/api/group?at=0")[1])
    names = {file["id"] for file in group["files"]}
    assert all(len(name) == 24 and set(name) <= set("0123456789abcdef") for name in names)
    page = "".join(at.request("GET", target)[1].decode() for target in ("/", "/app.js", "/app.css", "/api.js"))
    assert "http:" not in page.replace("http://www.w3.org", "") and "https:" not in page


def test_it_listens_on_this_machine_alone(pictures: Path, served: Served, make_review: MakeReview) -> None:
    at = served(make_review(pictures))
    table = Path("/proc/net/tcp")
    if not table.exists():
        pytest.skip("no /proc/net/tcp here")
    lines = chain.from_iterable(Path(f"/proc/net/{name}").read_text().splitlines()[1:] for name in ("tcp", "tcp6"))
    listening = [line.split()[1] for line in lines if line.split()[3] == "0A"]
    assert [where for where in listening if where.endswith(f":{at.port:04X}")] == [f"0100007F:{at.port:04X}"]


def test_a_port_that_is_taken_is_named(
    pictures: Path, served: Served, make_review: MakeReview, command: Command
) -> None:
    at = served(make_review(pictures))
    done = command("twinpix", "review", pictures, "--no-browser", "--port", str(at.port))
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: port {at.port}: ") and done.stderr.count("\n") == 1
