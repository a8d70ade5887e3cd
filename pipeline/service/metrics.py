"""What is counted, for Prometheus. Labels are routes, statuses and reasons of our own: no client can add to them."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
REASONS = frozenset(
    ("not_an_image", "unsupported_format", "needs_heif", "empty_file", "corrupt", "too_large", "decoder_crashed",
     "timed_out", "out_of_memory")
)  # fmt: skip
METHODS = frozenset(("GET", "HEAD", "POST", "DELETE"))


class Metrics:
    """Counters of one service.

    Args:
        images: how many pictures there are.
        waiting: how many requests wait for a worker.
        working: how many are worked on.
        connections: how many are open.
    """

    def __init__(
        self,
        images: Callable[[], int],
        waiting: Callable[[], int],
        working: Callable[[], int],
        connections: Callable[[], int],
    ) -> None:
        self._registry = CollectorRegistry()
        self.requests = self._made(Counter, "requests", "Requests answered.", ["method", "route", "status"])
        self.seconds = Histogram(
            "twinpix_request_seconds", "Until the answer was sent.", ["route"], buckets=SECONDS, registry=self._registry
        )
        self.received = self._made(Counter, "received_bytes", "Bytes read from clients, headers included.", [])
        self.failures = self._made(Counter, "unreadable_pictures", "Pictures that could not be used.", ["reason"])
        self.verdicts = self._made(Counter, "checks", "Pictures that were checked.", ["verdict"])
        for name, what, ask in (
            ("images", "Pictures in the library.", images),
            ("queue_waiting", "Requests that wait for a worker.", waiting),
            ("queue_working", "Requests that are worked on.", working),
            ("connections", "Open connections.", connections),
        ):
            Gauge(f"twinpix_{name}", what, registry=self._registry).set_function(ask)
        ProcessCollector(registry=self._registry)

    def _made(self, kind: type[Counter], name: str, what: str, labels: list[str]) -> Counter:
        return kind(f"twinpix_{name}", what, labels, registry=self._registry)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self.requests.labels(method if method in METHODS else "other", route, str(status)).inc()
        self.seconds.labels(route).observe(seconds)

    def unreadable(self, reason: str) -> None:
        """Count a picture that could not be used."""
        self.failures.labels(reason if reason in REASONS else "other").inc()

    def text(self) -> bytes:
        """In Prometheus's text format."""
        return generate_latest(self._registry)
