"""The body of a request, read within limits: so many bytes, in so much time, so much of all of them in memory."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from twinpix.pipeline.service.bounds import FORM_FIELDS, PART_HEADERS, Bounds
from twinpix.pipeline.service.problem import Problem
from twinpix.pipeline.service.work import Gone

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

logging.getLogger("python_multipart").addHandler(logging.NullHandler())  # it remarks on damaged forms on stderr
FIELD = b"image"
RAW = "application/octet-stream"
FORM = "multipart/form-data"
KINDS = f"send the picture as the field `image` of a form ({FORM}), or its bytes as image/jpeg, image/png, … or {RAW}"
SLICE = 1 << 16  # bytes that are parsed between two looks at the clock
LONGEST_BOUNDARY = 70  # bytes, as RFC 2046 has it


class Held:
    """How much of bodies is in memory."""

    def __init__(self, most: int) -> None:
        self._most, self._held = most, 0

    def take(self, size: int) -> None:
        """Raises Problem (429) where it would be too much."""
        if self._held + size > self._most:
            raise Problem(429, "too many uploads at once: try again in a moment", "busy")
        self._held += size

    def give_back(self, size: int) -> None:
        """It is not in memory any more."""
        self._held -= size


async def read_body(request: Request, bounds: Bounds, held: Held) -> bytes:
    """All of it; it counts as held until the caller gives it back.

    Raises:
        Problem: 413, 408, 429.
        Gone: the client has gone.
    """
    _refuse_announced(request.headers.get("content-length", ""), bounds.body)
    body = bytearray()
    try:
        async with asyncio.timeout(bounds.receiving):
            async for part in request.stream():
                held.take(len(part))
                body += part
                if len(body) > bounds.body:
                    raise _too_large(bounds.body)
    except BaseException as error:
        held.give_back(len(body))
        if isinstance(error, TimeoutError):
            raise Problem(408, f"the body did not arrive within {bounds.receiving:g} seconds", "slow") from None
        if isinstance(error, ClientDisconnect):
            raise Gone from None
        raise
    return bytes(body)


def _refuse_announced(length: str, most: int) -> None:
    if length.isdecimal() and int(length[:20]) > most:
        raise _too_large(most)


def _too_large(most: int) -> Problem:
    return Problem(413, f"the body is larger than {most:,} bytes", "body_too_large")


def media_type(request: Request) -> str:
    """`multipart/form-data`, or what stands for raw bytes.

    Raises:
        Problem: 415: another one.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == FORM:
        return FORM
    if kind == RAW or (kind.startswith("image/") and len(kind) > len("image/")):
        return RAW
    raise Problem(415, f"{kind or 'no Content-Type'}: {KINDS}", "media_type")


def picture_in(body: bytes, content_type: str, deadline: float) -> bytes:
    """The one file in a form.

    Args:
        content_type: the header, with the boundary.
        deadline: monotonic, s.

    Raises:
        Problem: 400: no sound form, or not just the field `image`.
    """
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    if not 0 < len(boundary) <= LONGEST_BOUNDARY:
        raise Problem(400, "the Content-Type names no boundary of the form", "form")
    form = _Form()
    try:
        parser = MultipartParser(boundary, form.callbacks)
        for start in range(0, len(body), SLICE):
            parser.write(body[start : start + SLICE])
            if time.monotonic() > deadline:
                raise Problem(503, "too much to do: the form could not be read in time", "overloaded")
        parser.finalize()
    except FormParserError:
        raise Problem(400, "the form is damaged: no sound multipart/form-data", "form") from None
    if form.fields == 0 or not form.is_whole:
        raise Problem(400, "the form has no field `image`" if form.fields == 0 else "the form breaks off", "form")
    return bytes(form.data)


class _Form:
    # what the parser calls while it reads
    def __init__(self) -> None:
        self.fields, self.is_whole, self.data = 0, False, bytearray()
        self._headers, self._name, self._value, self._disposition = 0, bytearray(), bytearray(), b""
        self.callbacks: MultipartCallbacks = {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header(self._name, data[start:end]),
            "on_header_value": lambda data, start, end: self._header(self._value, data[start:end]),
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._part_data,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self.fields += 1
        if self.fields > FORM_FIELDS:
            raise Problem(400, "the form has more fields than `image`: options go into the query", "form")

    def _header(self, whole: bytearray, part: bytes) -> None:
        self._headers += len(part)
        if self._headers > PART_HEADERS:
            raise Problem(400, f"the headers of a field are longer than {PART_HEADERS:,} bytes", "form")
        whole += part

    def _header_end(self) -> None:
        if bytes(self._name).lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._name.clear()
        self._value.clear()

    def _headers_finished(self) -> None:
        name = parse_options_header(self._disposition)[1].get(b"name", b"")
        if name != FIELD:
            raise Problem(400, "the only field of the form is `image`: options go into the query", "form")

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        self.data += data[start:end]

    def _end(self) -> None:
        self.is_whole = True
