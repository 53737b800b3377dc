"""Calls as interceptors send them, made fast enough to flood a collector; not a test.

One call of each sort is encoded by the interceptors' own code, and its numbers are then replaced in the bytes. No two calls are
alike: their number stands in ids, request and response.
"""

from __future__ import annotations

from collections.abc import Sequence

from grpc_mirror import Settings
from grpc_mirror.plain import PlainCalls
from grpc_mirror.records import Plain
from grpc_mirror.redact import Redactor
from grpc_mirror.schemas import SchemaRegistry
from grpc_mirror.sinks import otlp
from grpc_mirror.v1 import attributes as names
from grpc_mirror.v1.otlp_slices_pb2 import Span

from tests.collect.shop import VERSIONS, Product

RUN = "checkout"
METHODS = tuple(f"shop.v1.Shop/{name}" for name in ("GetProduct", "Search", "AddToCart", "Checkout", "Track"))
MARK = b"call-"  # before the ten digits of its number, in a mirrored call's id
_ORDINALS = {role: place for place, role in enumerate(VERSIONS)}
_DIGITS = 10
_PATTERN_NUMBER = 8_123_456_789  # of the calls that the bytes are copied from


class Maker:
    """The calls of one replica, by number from 0. `wrong_every`: of so many calls the candidate answers one wrongly; 0: none.

    `body_bytes`: of the response, about. `expect`: the shadows that each call is said to have.
    """

    def __init__(
        self,
        role: str,
        *,
        methods: int = 1,
        body_bytes: int = 200,
        wrong_every: int = 0,
        expect: str = "candidate,secondary",
    ) -> None:
        self.role = role
        self._methods = METHODS[:methods]
        self._padding = "x" * max(0, body_bytes - 40)
        self._wrong_every = wrong_every if role == "candidate" else 0
        self._expect = expect
        registry, settings = SchemaRegistry(), Settings()
        self.resource = (("service.name", "shop"), ("service.version", VERSIONS[role]), ("service.instance.id", role))
        self._resource = otlp.resource_bytes(self.resource)
        encoder = PlainCalls(settings, registry, Redactor(settings, lambda _: None), "shop-host")
        self._patterns = {
            (method, wrong): _Pattern(encoder, self.plain(_PATTERN_NUMBER, method, wrong=wrong))
            for method in self._methods
            for wrong in (False, True)
        }
        (fingerprint,) = registry.fingerprints()
        schema = registry.schema(fingerprint)
        assert schema is not None
        span = Span(trace_id=b"s" * 16, span_id=b"s" * 8, name=names.SPAN_SCHEMA)
        span.attributes.add(key=names.SCHEMA).value.bytes_value = schema
        self.schema_request = otlp.request_bytes(self._resource, [span.SerializeToString()])

    def request(self, numbers: Sequence[int]) -> bytes:
        """One OTLP request with these calls."""
        place = _ORDINALS[self.role]
        items = [[self._patterns[self._sort(number)].item(number, place)] for number in numbers]
        return b"".join(otlp.request_pieces(self._resource, items))

    def record(self, number: int) -> Plain:
        """The same call, as an interceptor hands it to its sender."""
        method, wrong = self._sort(number)
        return self.plain(number, method, wrong=wrong)

    def _sort(self, number: int) -> tuple[str, bool]:
        wrong = bool(self._wrong_every) and number % self._wrong_every == 0
        return self._methods[number % len(self._methods)], wrong

    def plain(self, number: int, method: str, *, wrong: bool) -> Plain:
        text = f"{number:0{_DIGITS}}"
        asked = Product(id=text).SerializeToString()
        told = Product(name=f"{text} {self._padding}", price=999 if wrong else 100).SerializeToString()
        metadata = (
            (names.HEADER_ID, MARK.decode() + text),
            (names.HEADER_RUN, RUN),
            (names.HEADER_ROLE, self.role),
            (names.HEADER_EXPECT, self._expect),
            ("traceparent", f"00-{number + 1:032x}-{1:016x}-01"),
        )
        return Plain(
            metadata=metadata,
            method=method,
            current=None,
            start_ns=number,
            request=asked,
            response=told,
            request_ns=1000,
            response_ns=4_000_000,
            request_type=Product,
            response_type=Product,
            initial_metadata=(),
            deadline_ns=0,
            start_unix_ns=1_700_000_000_000_000_000,
            duration_ns=5_000_000,
            size=len(asked) + len(told),
            sampled=True,
        )


def numbers_of(items: Sequence[Sequence[bytes]]) -> list[int]:
    """Which calls these encoded spans are; the sender's own spans are none."""
    found = []
    for pieces in items:
        place = pieces[0].find(MARK)
        if place >= 0:
            start = place + len(MARK)
            found.append(int(pieces[0][start : start + _DIGITS]))
    return found


class _Pattern:
    """An encoded call whose numbers are replaced."""

    def __init__(self, encoder: PlainCalls, call: Plain) -> None:
        encoded = encoder.span(call)
        assert encoded is not None
        (self._item,) = encoded[1]
        span = Span.FromString(self._item[len(self._item) - _length(self._item) :])
        self._span_id, self._trace_id = span.span_id, span.trace_id
        self._text = f"{call.start_ns:0{_DIGITS}}".encode()

    def item(self, number: int, place: int) -> bytes:
        """The element of a batch."""
        return (
            self._item.replace(self._trace_id, (number + 1).to_bytes(16, "big"))
            .replace(self._span_id, (number * 3 + place + 1).to_bytes(8, "big"))
            .replace(self._text, f"{number:0{_DIGITS}}".encode())
        )


def _length(item: bytes) -> int:
    """Of the span in an element of a batch: its tag, its length, itself."""
    size = shift = 0
    for byte in item[1:]:
        size |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            break
    return size
