"""Rules' paths are checked once a schema of their methods is known."""

from __future__ import annotations

from datetime import date

from grpc_mirror.v1 import attributes as names

from mirror.collect.rule_watch import RuleWatch
from mirror.collect.slices import Slicer
from mirror.core.model import CallRecord
from mirror.core.path import PathPattern
from mirror.core.rules import Ignore, RuleSet, Scope
from mirror.core.schemas import SchemaBook
from tests.collect.otlp import METHOD, RUN, request
from tests.collect.shop import product_call, schema_span
from tests.collect.test_outbound import CHARGE, charge

TODAY = date(2026, 1, 1)


def ignore(name: str, path: str, *, expires: date | None = None, methods: tuple[str, ...] = ()) -> Ignore:
    return Ignore(scope=Scope(PathPattern.parse(path), methods=methods), id=name, expires=expires)


def call() -> CallRecord:
    return Slicer().slice(request(product_call("m1", "primary")).SerializeToString(), arrived_s=0).calls[0]


def schema() -> bytes:
    (attribute,) = (item for item in schema_span().attributes if item.key == names.SCHEMA)
    return attribute.value.bytes_value


def watch(*rules: Ignore) -> tuple[RuleWatch, SchemaBook]:
    book = SchemaBook()
    made = RuleWatch(RuleSet(rules), book)
    made.use(TODAY)
    return made, book


def states(made: RuleWatch) -> dict[tuple[str, str, str], str]:
    return {(status.rule, status.run, status.method): status.status for status in made.statuses()}


def test_pending_until_the_schema_comes_then_valid_or_unknown() -> None:
    made, book = watch(ignore("good", "response.price"), ignore("bad", "response.prise"))
    assert made.check()
    made.see(call())
    assert not made.check()
    assert states(made) == {("good", "", ""): "pending", ("bad", "", ""): "pending"}
    book.add(schema())
    assert made.check()
    assert states(made) == {("good", RUN, METHOD): "valid", ("bad", RUN, METHOD): "unknown"}
    (line,) = made.news()
    assert "'bad'" in line
    assert "price" in line
    assert list(made.news()) == []


def test_rules_for_other_methods_stay_pending() -> None:
    made, book = watch(ignore("other", "response.x", methods=("a.B/C",)))
    book.add(schema())
    made.see(call())
    made.check()
    assert states(made) == {("other", "", ""): "pending"}


def test_an_expired_rule_is_told_as_such_and_from_the_day_on() -> None:
    made, book = watch(ignore("old", "response.price", expires=TODAY))
    book.add(schema())
    made.see(call())
    made.check()
    assert states(made) == {("old", RUN, METHOD): "valid"}
    made.use(date(2026, 1, 2))
    assert made.check()
    assert states(made) == {("old", "", ""): "expired"}


def test_a_rule_about_calls_that_are_made_is_checked_once_one_was_seen() -> None:
    """Whatever comes last: the call that made it, its schema, or itself."""
    made, book = watch(
        ignore("good", f'outbound["{CHARGE}"][*].request.price'),
        ignore("bad", f'outbound["{CHARGE}"][*].request.prise'),
    )
    book.add(schema())
    made.see(call())
    made.check()
    assert set(states(made).values()) == {"pending"}
    batch = Slicer().slice(request(charge("m1", "primary", 10)).SerializeToString(), arrived_s=0)
    made.see_outbound(batch.outbound[0])
    assert made.check()
    assert states(made) == {("good", RUN, METHOD): "valid", ("bad", RUN, METHOD): "unknown"}
    made.see_outbound(batch.outbound[0])
    assert not made.check()
