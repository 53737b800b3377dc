"""Rules held against a schema: what exists, what fits, what is pending, and what was probably meant."""

from __future__ import annotations

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool

from mirror.core.path import PathPattern
from mirror.core.rules import (
    VALUE_CLASSES,
    Ignore,
    KeyedList,
    MethodTypes,
    NormalisedText,
    Presence,
    RuleSet,
    Schema,
    Scope,
    Status,
    TimeWindow,
    Tolerance,
    UnorderedList,
    ValueClass,
    check_paths,
    check_rule,
    merge,
)
from tests.core.protoc import LEGACY, SHOP, descriptor_set


def message(text, name):
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(descriptor_set(text, "--include_imports")).file:
        pool.Add(file)
    return pool.FindMessageTypeByName(name)


@pytest.fixture(scope="module")
def quote():
    return message(SHOP, "t.Quote")


@pytest.fixture(scope="module")
def warranty():
    return message(LEGACY, "t2.Warranty")


def at(kind, path, **fields):
    return kind(scope=Scope(path=PathPattern.parse(path)), id=f"{kind.type} {path}", **fields)


@pytest.mark.parametrize(
    "path",
    [
        "response",
        "response.total",
        "response.items[*].price.cents",
        "response.items[0].bundled.bundled.sku",
        'response.by_city["Rome"].cents',
        "response.by_year[1999]",
        "response.by_flag[true]",
        "response.by_city[*].currency",
        "response.extra.(t.Money).cents",
        "response.extra.type_url",
        "response.*.cents",
        "response.**.sku",
        "**.sku",
        "**",
        "status.code",
        "status",
        "status.no_answer",
        "status.details[*]",
        "status.details[0].(t.Money).cents",
        'trailing_metadata["x-cost"]',
        'initial_metadata["x-shard"]',
        "trailing_metadata[*]",
        "response.courier",
    ],
)
def test_valid(quote, path):
    """It leads somewhere, and an ignore fits everywhere."""
    assert check_rule(at(Ignore, path), Schema(quote, streamed=False)).status is Status.VALID


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("response.totl", 't.Quote has no "totl"; did you mean "total"?'),
        ("response.placedAt", 't.Quote has no "placedAt"; did you mean "placed_at"?'),
        ("response.items[*].price.cent", 't.Money has no "cent"; did you mean "cents"?'),
        ("response.items[*].price.x", 't.Money has no "x"; it has cents, currency'),
        ("response.items.sku", "response.items is repeated; say response.items[*].sku"),
        ("response.by_city.cents", "response.by_city is a map; say response.by_city[*].cents"),
        ("response.by_city[1]", "the keys of response.by_city are of another type (str)"),
        ('response.by_year["1"]', "the keys of response.by_year are of another type (int)"),
        ('response.items["1"]', "response.items is repeated, not a map: say [*] or an index from 0"),
        ("response.total.x", "response.total has no fields"),
        ("response.total[*]", "response.total is neither repeated nor a map"),
        ("response.items[*].(t.Money).x", "response.items[*] is neither an Any nor extendable: it has no (t.Money)"),
        (
            "response.placed_at.seconds",
            "response.placed_at is a Timestamp, compared as one value; say response.placed_at",
        ),
        ("trailing_metadata[1]", 'the keys of trailing_metadata are text: trailing_metadata["x-cost"]'),
        ("trailing_metadata.cost", "trailing_metadata has no fields"),
        ("status.cod", 'status has no "cod"; did you mean "code"?'),
        ("reponse.x", 'a call has no "reponse"; did you mean "response"?'),
        (
            "calls.x",
            'a call has no "calls"; it has initial_metadata, outbound, request, requests, response, status, trailing_metadata',
        ),
        ("outbounds[*]", 'a call has no "outbounds"; did you mean "outbound"?'),
        ("reqest.x", 'a call has no "reqest"; did you mean "request"?'),
        ("responses[*].total", 'a call has no "responses"; did you mean "response"? (the method answers once)'),
    ],
)
def test_unknown(quote, path, problem):
    """The problem names the place where the path ends and what was probably meant."""
    found = check_rule(at(Ignore, path), Schema(quote, streamed=False))
    assert (found.status, found.problem) == (Status.UNKNOWN, problem)


@pytest.mark.parametrize("path", ["request", "request.x[*].y", "requests[*].x", "requests[2]"])
def test_requests_are_not_checked(quote, path):
    """A rule there excuses what may change on the way; only a path that no request could have is wrong."""
    assert check_rule(at(Ignore, path), Schema(quote, streamed=False)).status is Status.PENDING
    assert check_rule(at(Ignore, "requests.x"), Schema(quote)).status is Status.UNKNOWN
    assert check_rule(at(Ignore, "**.nothing_at_all"), Schema()).status is Status.PENDING


def test_nowhere_at_any_depth(quote, warranty):
    """Without an Any below, `**` knows that nothing has the field; an Any may hold it."""
    assert check_rule(at(Ignore, "response.**.nothing"), Schema(quote, streamed=False)).status is Status.PENDING
    found = check_rule(at(Ignore, "response.**.nothing"), Schema(warranty, streamed=False))
    assert found.status is Status.UNKNOWN


def test_a_stream_answers_often(quote):
    """`responses`, not `response`; where it is not known, both may be."""
    streamed = Schema(quote, streamed=True)
    assert check_rule(at(Ignore, "responses[*].total"), streamed).status is Status.VALID
    assert "(the method streams)" in check_rule(at(Ignore, "response.total"), streamed).problem
    for path in ("response.total", "responses[*].total"):
        assert check_rule(at(Ignore, path), Schema(quote)).status is Status.VALID


@pytest.mark.parametrize("path", ["response.anything", "responses[3].x", "status.details[*].(x.Y).z", "response.**"])
def test_without_a_schema_it_is_pending(path):
    """Schemas come with the calls."""
    assert check_rule(at(Tolerance, path, absolute=1.0), Schema()).status is Status.PENDING


def test_a_type_that_the_pool_lacks_is_pending(quote):
    """Inside an Any, or as an extension, it may come with a later schema."""
    found = check_rule(at(Ignore, "response.extra.(x.Later).field"), Schema(quote, streamed=False))
    assert found.status is Status.PENDING


def test_extensions_and_groups(warranty):
    """By full name; a group by its field name."""
    schema = Schema(warranty, streamed=False)
    assert check_rule(at(Ignore, "response.(t2.insurer)"), schema).status is Status.VALID
    assert check_rule(at(Ignore, "response.(t2.later)"), schema).status is Status.PENDING
    assert check_rule(at(Tolerance, "response.cover.months", absolute=1.0), schema).status is Status.VALID
    assert check_rule(at(Ignore, "response.*"), schema).status is Status.VALID


def test_unknown_fields_have_numbers(quote):
    """They are named by what the wire said; no schema tells more."""
    assert check_rule(at(Ignore, "response.240[0]"), Schema(quote)).status is Status.PENDING


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        (at(Tolerance, "response.total", absolute=1.0), ""),
        (at(Tolerance, "response.items[*].price.cents", absolute=1.0), ""),
        (at(Tolerance, "response.rates", absolute=1.0), ""),
        (at(Tolerance, "response.by_year", absolute=1.0), ""),
        (at(Tolerance, "response.**", absolute=1.0), ""),
        (at(Tolerance, "response.courier", absolute=1.0), "a tolerance needs a number, but this is a string"),
        (at(Tolerance, "response.seal", absolute=1.0), "a tolerance needs a number, but this is bytes"),
        (at(Tolerance, "response.colour", absolute=1.0), "a tolerance needs a number, but this is an enum"),
        (at(Tolerance, "response.express", absolute=1.0), "a tolerance needs a number, but this is a bool"),
        (at(Tolerance, "response.items", absolute=1.0), "a tolerance needs a number, but this is t.Item"),
        (at(Tolerance, "status.code", absolute=1.0), "only an ignore rule applies to status.code"),
        (at(Tolerance, "response.tax.value", absolute=1.0), ""),
        (at(Tolerance, "response.tax", absolute=1.0), ""),
        (at(ValueClass, "response.tax", name="uuid"), "a number cannot be of the class uuid"),
        (at(TimeWindow, "response.placed_at", within_s=1.0), ""),
        (at(TimeWindow, "response.valid_for", within_s=1.0), ""),
        (
            at(TimeWindow, "response.total", within_s=1.0),
            "a time window needs a Timestamp or Duration, but this is a number",
        ),
        (at(UnorderedList, "response.items"), ""),
        (at(UnorderedList, "status.details"), ""),
        (at(UnorderedList, "response.by_city"), "only a list has an order, but this is a map"),
        (at(UnorderedList, "response.total"), "only a list has an order, but this is a number"),
        (at(KeyedList, "response.items", by=("sku", "price.cents")), ""),
        (at(KeyedList, "response.items", by=("skuu",)), 'the key "skuu": t.Item has no "skuu"; did you mean "sku"?'),
        (at(KeyedList, "response.items", by=("tags",)), 'the key "tags" is repeated: a key is a single value'),
        (at(KeyedList, "response.total", by=("x",)), "only a list can be keyed, but this is a number"),
        (
            at(KeyedList, "response.rates", by=("x",)),
            "its elements are a number and have no field to be keyed by; say unordered",
        ),
        (at(ValueClass, "response.courier", name="uuid"), ""),
        (
            at(ValueClass, "response.valid_for", name="timestamp"),
            "google.protobuf.Duration cannot be of the class timestamp",
        ),
        (at(NormalisedText, "response.courier", case="ignore"), ""),
        (at(NormalisedText, "response.seal", json=True), ""),
        (at(NormalisedText, "response.items[*].tags", case="ignore"), ""),
        (at(NormalisedText, "response.by_flag", case="ignore"), ""),
        (at(NormalisedText, "response.**", case="ignore"), ""),
        (
            at(NormalisedText, "response.total", case="ignore"),
            "a text rule needs a string or bytes, but this is a number",
        ),
        (
            at(NormalisedText, "response.items", case="ignore"),
            "a text rule needs a string or bytes, but this is t.Item",
        ),
        (at(NormalisedText, "status.message", case="ignore"), "only an ignore rule applies to status.message"),
        (at(Presence, "response.tax"), ""),
        (at(Presence, "response.placed_at"), ""),
        (at(Presence, "response.courier"), ""),
        (at(Presence, "response.items[*].bundled"), ""),
        (at(Presence, "response.**"), ""),
        (
            at(Presence, "response.total"),
            "this field has no presence: unset equals default there without a rule",
        ),
        (at(Presence, "response.items"), "a list or map cannot be unset, only empty, and that is one thing"),
        (at(Presence, "response.by_city"), "a list or map cannot be unset, only empty, and that is one thing"),
        (
            at(Presence, "response.items[0]"),
            "only a field can be unset, not an element of a list or map: name a field of it",
        ),
        (at(Presence, "response"), "only a field can be unset, not the whole answer"),
        (at(Presence, "status"), "only an ignore rule applies to status"),
        (at(ValueClass, "response.placed_at", name="timestamp"), ""),
        (at(ValueClass, "response.total", name="same_sign"), ""),
        (at(ValueClass, "response.total", name="uuid"), "a number cannot be of the class uuid"),
        (
            at(ValueClass, 'trailing_metadata["x-id"]', name="uuid"),
            "only an ignore rule applies to trailing_metadata[*]",
        ),
        (
            at(KeyedList, "status.details", by=("x",)),
            "the elements of status.details have no common field; say unordered",
        ),
    ],
)
def test_a_rule_fits_what_stands_there(quote, rule, problem):
    """Misused: the path exists, but this type of rule can do nothing there."""
    found = check_rule(rule, Schema(quote, streamed=False))
    assert (found.status, found.problem) == (Status.MISUSED if problem else Status.VALID, problem)


def test_the_messages_of_a_stream_are_a_list(quote):
    """They may be unordered or keyed like a repeated field."""
    streamed = Schema(quote, streamed=True)
    assert check_rule(at(UnorderedList, "responses"), streamed).status is Status.VALID
    assert check_rule(at(KeyedList, "responses", by=("total",)), streamed).status is Status.VALID
    assert check_rule(at(KeyedList, "responses", by=("totl",)), streamed).status is Status.MISUSED


@pytest.mark.parametrize("name", VALUE_CLASSES)
def test_every_value_class_fits_something(quote, name):
    """No class is refused everywhere."""
    assert check_rule(at(ValueClass, "response.**", name=name), Schema(quote)).status is Status.VALID


def test_only_rules_in_scope_are_checked(quote):
    """By run and method."""
    there = Ignore(scope=Scope(path=PathPattern.parse("response.total"), methods=("t.Shop/*",)), id="there")
    elsewhere = Ignore(scope=Scope(path=PathPattern.parse("response.x"), methods=("u.V/*",)), id="elsewhere")
    found = check_paths(RuleSet((there, elsewhere)), MethodTypes("r", "t.Shop/GetQuote", quote, streamed=False))
    assert [(status.rule.id, status.method) for status in found] == [("there", "t.Shop/GetQuote")]


def test_the_best_word_counts(quote):
    """Valid where either side or any method has it; else the method that knows most of the path speaks."""
    rules = RuleSet((at(Ignore, "response.items[*].skuu"), at(Ignore, "response.total")))
    money = quote.fields_by_name["pickup"].message_type
    words = [
        *check_paths(rules, MethodTypes("r", "t.Shop/Price", money, streamed=False)),
        *check_paths(rules, MethodTypes("r", "t.Shop/GetQuote", quote, streamed=False)),
    ]
    merged = merge(words)
    assert merged["ignore response.total"].status is Status.VALID
    assert merged["ignore response.items[*].skuu"].problem == 't.Item has no "skuu"; did you mean "sku"?'
