"""One comparison side by side: which lines are marked, and why."""

from types import SimpleNamespace

import pytest
from google.protobuf import any_pb2, duration_pb2
from google.rpc import status_pb2
from grpc_mirror.v1 import capture_pb2, comparison_pb2

from mirror.config import Config
from mirror.config.sections import Web
from mirror.serve import pages, shape
from mirror.serve.calls import view
from mirror.serve.sides import Mark, sides
from tests.serve.shopdata import FINGERPRINT, POOL, message


def schemas(fingerprint):
    return POOL if fingerprint == FINGERPRINT else None


def captured(*bodies, kind=capture_pb2.CALL_KIND_UNARY, fingerprint=FINGERPRINT, **fields):
    made = capture_pb2.Capture(
        kind=kind, response_type="shop.v1.Order", schema_fingerprint=fingerprint, response_count=len(bodies), **fields
    )
    for body in bodies:
        raw = body if isinstance(body, bytes) else body.SerializeToString()
        made.messages.add(direction=capture_pb2.DIRECTION_RESPONSE, body=raw)
    return made.SerializeToString()


def order(**fields):
    made = message("Order")
    for name, value in fields.items():
        getattr(made, name).extend(value) if isinstance(value, list) else setattr(made, name, value)
    return made


def compared(primary, candidate, secondary=None, differences=(), noise=()):
    made = comparison_pb2.Comparison(id="c", run="r", method="shop.v1.Shop/GetOrder", primary_capture=primary)
    made.sides.add(
        role="candidate", verdict=comparison_pb2.VERDICT_MISMATCHED, capture=candidate, differences=differences
    )
    if secondary is not None:
        made.sides.add(
            role="secondary", verdict=comparison_pb2.VERDICT_MISMATCHED, capture=secondary, differences=noise
        )
    return sides(made, schemas)


def difference(path, kind="value", **more):
    return comparison_pb2.Difference(path=path, pattern=path, kind=kind, **more)


def marks(view, section, column=1):
    rows = next(one for one in view.sections if one.name == section).rows
    return {row.cells[column].line.text: row.cells[column].mark for row in rows if row.cells[column].line}


def test_a_difference_marks_its_line_on_both_sides():
    view = compared(captured(order(total=1.0)), captured(order(total=2.0)), differences=[difference("response.total")])
    assert marks(view, "response")['"total": 2.0'] is Mark.DIFF
    assert marks(view, "response", column=0)['"total": 1.0'] is Mark.DIFF
    assert marks(view, "response", column=0)["{"] is Mark.SAME


def test_no_answer_is_marked_at_the_status_that_says_so():
    """The page said "no difference that counts" over OK beside DEADLINE_EXCEEDED, while the list above it said the other."""
    view = compared(
        captured(order(total=1.0)),
        captured(status_code=4),
        differences=[difference("status.no_answer", "no_answer", left="OK", right="DEADLINE_EXCEEDED")],
    )
    assert next(one for one in view.sections if one.name == "status").differs
    assert marks(view, "status")['"code": "DEADLINE_EXCEEDED"'] is Mark.DIFF
    assert marks(view, "status", column=0)['"code": "OK"'] is Mark.DIFF


def test_another_request_is_marked_and_is_no_difference():
    """Not even noise, where the secondary got another one too."""
    first, second = (
        capture_pb2.Capture(
            kind=capture_pb2.CALL_KIND_UNARY,
            request_type="shop.v1.Order",
            schema_fingerprint=FINGERPRINT,
            messages=[
                capture_pb2.CapturedMessage(
                    direction=capture_pb2.DIRECTION_REQUEST, body=order(id=name, total=1.0).SerializeToString()
                )
            ],
        ).SerializeToString()
        for name in "ab"
    )
    made = comparison_pb2.Comparison(id="c", run="r", method="shop.v1.Shop/GetOrder", primary_capture=first)
    for role in ("candidate", "secondary"):
        made.sides.add(
            role=role,
            verdict=comparison_pb2.VERDICT_INCOMPARABLE,
            reason="request_drift",
            capture=second,
            differences=[difference("request.id", left="a", right="b")],
        )
    view = sides(made, schemas)
    assert [d.mark for d in view.differences] == [Mark.DRIFT]
    assert marks(view, "request")['"id": "b"'] is Mark.DRIFT
    assert marks(view, "request")['"total": 1.0'] is Mark.SAME
    (section,) = (one for one in view.sections if one.name == "request")
    assert section.differs


def test_a_difference_that_the_secondary_has_too_is_noise():
    of_both = [difference("response.request_id")]
    view = compared(
        captured(order(request_id="a")),
        captured(order(request_id="b")),
        captured(order(request_id="c")),
        differences=of_both,
        noise=of_both,
    )
    assert marks(view, "response")['"request_id": "b"'] is Mark.NOISE
    assert [d.mark for d in view.differences] == [Mark.NOISE]


def test_what_a_rule_tolerates_is_marked_as_such_and_never_as_noise():
    tolerated = difference("response.total", rule="tolerance response.total")
    view = compared(captured(order(total=1.0)), captured(order(total=1.1)), differences=[tolerated])
    assert marks(view, "response")['"total": 1.1'] is Mark.RULE
    assert not view.sections[0].differs


def test_other_text_that_the_comparer_holds_for_equal_is_quiet():
    view = compared(captured(order(tags=["a", "b"])), captured(order(tags=["b", "a"])))
    assert set(marks(view, "response").values()) == {Mark.SAME, Mark.QUIET}


def test_all_lines_of_a_lost_subtree_are_marked():
    made = order()
    made.items.add(sku="x", price=2.0)
    lost = difference("response.items[0]", kind="missing")
    view = compared(captured(made), captured(order(id="1")), differences=[lost])
    shown = marks(view, "response", column=0)
    assert shown['"sku": "x"'] is Mark.DIFF
    assert shown['"price": 2.0'] is Mark.DIFF


def test_a_difference_inside_a_time_marks_the_line_that_shows_it():
    left, right = order(), order()
    left.created.FromSeconds(10)
    right.created.FromSeconds(20)
    view = compared(captured(left), captured(right), differences=[difference("response.created.seconds")])
    assert marks(view, "response")['"created": "1970-01-01T00:00:20Z"'] is Mark.DIFF


def test_a_stream_stands_as_a_list_and_a_lost_message_leaves_one_gap():
    kind = capture_pb2.CALL_KIND_SERVER_STREAM
    orders = [order(id=str(i)) for i in range(3)]
    lost = difference("responses[1]", kind="missing")
    view = compared(captured(*orders, kind=kind), captured(orders[0], orders[2], kind=kind), differences=[lost])
    gone = [row.cells[0].line.text for row in view.sections[0].rows if row.cells[1].line is None]
    assert gone == ["{", '"id": "1"', "}"]


def test_a_side_that_never_came_has_no_lines_and_no_call():
    view = compared(captured(order(id="1")), b"")
    assert view.replicas[1].call is None
    assert all(row.cells[1].line is None for row in view.sections[0].rows)


@pytest.mark.parametrize(
    ("capture", "note"),
    [
        (captured(b"\xff\xff"), "these bytes are no shop.v1.Order"),
        (captured(order(id="1"), fingerprint="other"), "the schema of shop.v1.Order is not known yet"),
    ],
)
def test_a_message_that_cannot_be_read_stands_as_base64_with_its_reason(capture, note):
    (one,) = compared(capture, capture).replicas[0].call.messages
    assert (one.note, one.json, bool(one.base64)) == (note, None, True)


def test_a_capture_that_cannot_be_read_is_no_error():
    assert compared(b"\xff", captured(order(id="1"))).replicas[0].call is None


def test_a_message_that_was_left_out_says_why():
    made = capture_pb2.Capture(response_type="shop.v1.Order", schema_fingerprint=FINGERPRINT)
    made.messages.add(direction=capture_pb2.DIRECTION_RESPONSE, original_size=300_000, omission=1)
    (one,) = compared(made.SerializeToString(), b"").replicas[0].call.messages
    assert (one.omission, one.size, one.base64) == ("message too large", 300_000, "")


def test_private_values_that_were_taken_out_are_named():
    capture = capture_pb2.Capture.FromString(captured(b""))
    capture.private_leaves.add(path="status.message")
    for n in range(25):
        capture.messages[0].private_leaves.add(path=f"cards[{n}].number", hmac=b"1")
    (told,) = view(capture.SerializeToString(), schemas).omitted
    assert told.startswith("private, taken out by the service: status.message, response: cards[0].number, ")
    assert told.endswith(" and 6 more")


def test_status_details_are_unpacked():
    packed = any_pb2.Any()
    packed.Pack(duration_pb2.Duration(seconds=3))
    details = status_pb2.Status(code=5, details=[packed]).SerializeToString()
    view = compared(captured(status_code=5, status_message="gone", status_details=details), b"")
    shown = [row.cells[0].line.text for row in view.sections[0].rows]
    assert '"code": "NOT_FOUND"' in shown
    assert '"value": "3s"' in shown


def test_repeated_metadata_keys_are_a_list_and_binary_ones_base64():
    entries = [capture_pb2.MetadataEntry(key=k, value=v) for k, v in (("a", b"1"), ("a", b"\xff"), ("b-bin", b"\x00"))]
    view = compared(captured(trailing_metadata=entries), b"")
    shown = [row.cells[0].line.text for row in view.sections[-1].rows]
    assert shown == ["{", '"a": [', '"1"', '"\\\\xff"', "]", '"b-bin": "AA=="', "}"]


@pytest.mark.parametrize(
    ("template", "url"),
    [
        ("https://jaeger.example/trace/{trace_id}", "https://jaeger.example/trace/ab"),
        ("", ""),
    ],
)
def test_a_trace_is_linked_where_a_web_address_is_configured(template, url):
    site = SimpleNamespace(config=Config(web=Web(trace_url=template)))
    assert pages.trace_url(site, SimpleNamespace(trace_id="ab")) == url


def made(method, policy, text, answer=None, code=0):
    """A call that a service made, as its capture."""
    call = capture_pb2.Capture(
        method=method,
        kind=capture_pb2.CALL_KIND_UNARY,
        request_type="shop.v1.Order",
        response_type="shop.v1.Order",
        schema_fingerprint=FINGERPRINT,
        status_code=code,
        outbound=capture_pb2.Outbound(policy=policy),
    )
    call.messages.add(direction=capture_pb2.DIRECTION_REQUEST, body=order(id=text).SerializeToString())
    if answer is not None:
        call.messages.add(direction=capture_pb2.DIRECTION_RESPONSE, body=order(id=answer).SerializeToString())
    return call.SerializeToString()


@pytest.fixture
def charged():
    """A primary that charged 10, and a candidate that was kept from charging 20 and answered something else."""
    path = 'outbound["pay.v1.Pay/Charge"][0].request.id'
    kept = comparison_pb2.Comparison(id="c", run="r", primary_capture=captured(order(id="paid")))
    kept.primary_outbound.append(made("pay.v1.Pay/Charge", capture_pb2.OUTBOUND_POLICY_SENT, "10", "done"))
    kept.primary_outbound_count = 3
    kept.sides.add(
        role="candidate",
        verdict=comparison_pb2.VERDICT_MISMATCHED,
        capture=captured(order(id="unpaid")),
        differences=[difference(path, left="10", right="20")],
        unjudged=[difference("response.id")],
        unseen=["blocked"],
        outbound=[made("pay.v1.Pay/Charge", capture_pb2.OUTBOUND_POLICY_BLOCKED, "20", code=9)],
        outbound_count=1,
    )
    return sides(kept, schemas)


def test_what_it_would_have_sent_stands_against_what_the_primary_sent(charged):
    assert marks(charged, "outbound", column=0)['"id": "10"'] is Mark.DIFF
    assert marks(charged, "outbound")['"id": "20"'] is Mark.DIFF
    assert marks(charged, "outbound", column=0)['"policy": "sent"'] is Mark.QUIET
    assert marks(charged, "outbound")['"policy": "blocked"'] is Mark.QUIET
    assert charged.replicas[0].call.omitted == ("2 outbound calls, over what is kept",)


def test_what_differs_after_a_blocked_call_is_marked_as_not_judged(charged):
    assert marks(charged, "response")['"id": "unpaid"'] is Mark.UNJUDGED
    assert [(d.path, d.mark) for d in charged.differences][-1] == ("response.id", Mark.UNJUDGED)
    assert charged.replicas[1].unseen == ("blocked",)


def test_the_interface_gives_the_calls_by_whom_they_went_to(charged):
    primary, candidate = shape.comparison_out(charged).sides
    assert primary.call.outbound == {
        "pay.v1.Pay/Charge": [{"policy": "sent", "request": {"id": "10"}, "response": {"id": "done"}, "status": "OK"}]
    }
    assert candidate.call.outbound["pay.v1.Pay/Charge"][0]["status"] == "FAILED_PRECONDITION"
    assert [(d.path, d.unjudged) for d in candidate.differences][-1] == ("response.id", True)
