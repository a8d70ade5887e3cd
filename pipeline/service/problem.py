"""What is wrong with a request, or with the service at this moment: a status and one sentence (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus

from starlette.responses import JSONResponse

from twinpix.encoder.errors import ImageError
from twinpix.pipeline.show import safe

UNSUPPORTED = ("not_an_image", "unsupported_format", "needs_heif", "empty_file")
RETRY_SECONDS = {429: 1, 503: 5}
UNREADABLE = {
    "not_an_image": "not an image",
    "empty_file": "the file is empty",
}


class Problem(Exception):
    """A request that is refused, on purpose.

    Args:
        status: HTTP.
        detail: one sentence for people.
        reason: a short code for programs.
    """

    def __init__(self, status: int, detail: str, reason: str = "") -> None:
        super().__init__(detail)
        self.status, self.detail, self.reason = status, detail, reason

    def response(self) -> JSONResponse:
        """As it is sent."""
        title = HTTPStatus(self.status).phrase
        body = {"type": "about:blank", "title": title, "status": self.status, "detail": safe(self.detail)}
        if self.reason:
            body["reason"] = self.reason
        headers = {"Retry-After": str(RETRY_SECONDS[self.status])} if self.status in RETRY_SECONDS else {}
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return JSONResponse(body, self.status, headers, media_type="application/problem+json")


def of_image(error: ImageError) -> Problem:
    """A picture that can't be used: 415 where it is none, or of a kind that is not read, else 422."""
    status = 415 if error.reason in UNSUPPORTED else 422
    return Problem(status, UNREADABLE.get(error.reason, str(error)), error.reason)
