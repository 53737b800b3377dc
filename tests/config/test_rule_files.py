"""Rules as mirror.yaml writes them: what they become, and every mistake with its place."""

from __future__ import annotations

from datetime import date
from typing import Literal

import pytest

from mirror.config.rule_models import RULE_MODELS
from mirror.core.path import PathPattern
from mirror.core.rules import (
    VALUE_CLASSES,
    WHITESPACE,
    Ignore,
    KeyedList,
    NormalisedText,
    Presence,
    Scope,
    TimeWindow,
    Tolerance,
    UnorderedList,
    ValueClass,
)
from tests.config.files import loaded, problems


def scope(path, **where):
    return Scope(path=PathPattern.parse(path), **where)


def test_each_type_of_rule(tmp_path):
    """With its parameters; the id follows from type and path."""
    text = """\
        rules:
          - {type: ignore, path: response.a}
          - {type: tolerance, path: response.b, absolute: 0.01, relative: 0.5}
          - {type: time_window, path: response.c, within: 250ms}
          - {type: unordered, path: responses}
          - {type: keyed, path: response.e, by: [sku, product.id]}
          - {type: value_class, path: response.f, class: uuid}
          - type: text
            path: response.g
            case: ignore
            whitespace: collapse
            replace:
              - {pattern: '(\\d+) ms', with: '\\1'}
              - {pattern: x, with: ''}
          - {type: text, path: response.h, json: true, json_ignore: [/at, "/items/*/id"]}
          - {type: presence, path: response.**}
        """
    assert loaded(tmp_path, text).rules.rules == (
        Ignore(scope=scope("response.a"), id="ignore response.a"),
        Tolerance(scope=scope("response.b"), id="tolerance response.b", absolute=0.01, relative=0.5),
        TimeWindow(scope=scope("response.c"), id="time_window response.c", within_s=0.25),
        UnorderedList(scope=scope("responses"), id="unordered responses"),
        KeyedList(scope=scope("response.e"), id="keyed response.e", by=("sku", "product.id")),
        ValueClass(scope=scope("response.f"), id="value_class response.f", name="uuid"),
        NormalisedText(
            scope=scope("response.g"),
            id="text response.g",
            case="ignore",
            whitespace="collapse",
            replace=((r"(\d+) ms", r"\1"), ("x", "")),
        ),
        NormalisedText(scope=scope("response.h"), id="text response.h", json=True, json_ignore=("/at", "/items/*/id")),
        Presence(scope=scope("response.**"), id="presence response.**"),
    )


def test_scope_and_papers(tmp_path):
    """All that every rule may have; `*` alone is every method."""
    text = """\
        runs: [a, b]
        rules:
          - type: ignore
            path: response.items[*].x
            methods: [shop.v1.Shop/*]
            runs: [b]
            id: my-rule
            reason: moved
            owner: ada
            expires: 2031-01-31
            link: https://example.com/1
          - {type: ignore, path: response.y, methods: ["*"]}
        """
    first, second = loaded(tmp_path, text).rules.rules
    assert first == Ignore(
        scope=scope("response.items[*].x", methods=("shop.v1.Shop/*",), runs=("b",)),
        id="my-rule",
        reason="moved",
        owner="ada",
        expires=date(2031, 1, 31),
        link="https://example.com/1",
    )
    assert second.scope.methods == ()


def test_the_models_are_the_cores_types():
    """The names, the classes of values and the ways of white space, declared in both rooms, agree."""
    kinds = (Ignore, Tolerance, TimeWindow, UnorderedList, KeyedList, ValueClass, NormalisedText, Presence)
    assert list(RULE_MODELS) == [kind.type for kind in kinds]
    assert RULE_MODELS["value_class"].model_fields["class_"].annotation.__args__ == VALUE_CLASSES
    assert str(Literal[WHITESPACE]) in str(RULE_MODELS["text"].model_fields["whitespace"].annotation)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (
            "{path: response.x}",
            "4:5: a rule needs a type: ignore, tolerance, time_window, unordered, keyed, value_class, text, presence",
        ),
        ("{type: tolerence, path: response.x}", '4:12: unknown rule type "tolerence"; did you mean "tolerance"?'),
        ("{type: ignore}", '4:5: "path" is missing'),
        ("response.x", "4:5: expected settings, one `name: value` a line"),
        ("{type: ignore, pth: response.x, path: response.x}", '4:20: unknown key "pth"; did you mean "path"?'),
        ("{type: ignore, path: response.x, absolute: 1}", '4:38: unknown key "absolute"'),
        ("{type: ignore, path: response..x}", "4:34: path: not a field name, [index], [key] or wildcard"),
        ('{type: ignore, path: "response..x"}', "4:35: path: not a field name, [index], [key] or wildcard"),
        ("{type: ignore, path: reponse.x}", '4:26: a call has no "reponse"; did you mean "response"?'),
        ("{type: ignore, path: status.cod}", '4:26: status has no "cod"; did you mean "code"?'),
        (
            "{type: tolerance, path: status.code, absolute: 1}",
            "4:29: only an ignore rule applies to status.code",
        ),
        ("{type: tolerance, path: response.x, absolute: -0.01}", "4:51: absolute: cannot be negative"),
        ("{type: tolerance, path: response.x, absolute: .nan}", "4:51: absolute: expected a finite number"),
        ('{type: tolerance, path: response.x, absolute: "1"}', "4:51: absolute: expected a number"),
        ("{type: tolerance, path: response.x, relative: 2}", "4:51: relative: must be at most 1"),
        ("{type: tolerance, path: response.x}", "4:5: the rule has no effect: give absolute, relative or both"),
        ("{type: time_window, path: response.x, within: 0s}", "4:5: the rule has no effect: within must be above 0"),
        ("{type: time_window, path: response.x}", '4:5: "within" is missing'),
        ("{type: keyed, path: response.x, by: []}", "4:41: by: needs at least 1"),
        ("{type: keyed, path: response.x, by: sku}", "4:41: by: expected a list, like [a, b]"),
        (
            '{type: keyed, path: response.x, by: ["a[*]"]}',
            "4:42: a key is a path of names below the element, like sku or product.id, without [...] and wildcards",
        ),
        ("{type: text, path: response.x}", "4:5: the rule has no effect: give case, whitespace, replace or json"),
        (
            "{type: text, path: response.x, case: ignoer}",
            '4:42: case: unknown value "ignoer"; did you mean "ignore"?',
        ),
        (
            "{type: text, path: response.x, json: true, case: ignore}",
            "4:5: case and whitespace do not go with json, which compares values; only replace does",
        ),
        ("{type: text, path: response.x, case: ignore, json_ignore: [/a]}", "4:5: json_ignore needs json: true"),
        (
            "{type: text, path: response.x, json: true, json_ignore: [/a, b]}",
            '4:66: a JSON pointer starts with "/": /meta/request_id, /items/*/at',
        ),
        (
            "{type: text, path: response.x, replace: [{pattern: '(a', with: ''}]}",
            "4:56: pattern: not a regular expression of RE2: missing ): (a",
        ),
        (
            "{type: text, path: response.x, replace: [{pattern: a, with: '\\1'}]}",
            "4:46: \\1 in its replacement: the pattern has no group",
        ),
        (
            "{type: text, path: response.x, replace: [{pattern: a, wiht: b, with: c}]}",
            '4:59: unknown key "wiht"; did you mean "with"?',
        ),
        ("{type: text, path: response.x, replace: [{pattern: a}]}", '4:46: "with" is missing'),
        ("{type: text, path: status.code, case: ignore}", "4:24: only an ignore rule applies to status.code"),
        (
            '{type: presence, path: "response.x[*]"}',
            "4:28: only a field can be unset, not an element of a list or map: name a field of it",
        ),
        ("{type: presence, path: response}", "4:28: only a field can be unset, not the whole answer"),
        ("{type: presence, path: response.x, within: 5s}", '4:40: unknown key "within"'),
        ("{type: value_class, path: response.x, class: uid}", '4:50: class: unknown value "uid"; did you mean "uuid"?'),
        ("{type: ignore, path: response.x, expires: 2027-02-30}", "4:47: not a date"),
        ("{type: ignore, path: response.x, expires: soon}", "4:47: expires: expected a date, like 2027-01-31"),
        (
            "{type: ignore, path: response.x, methods: [/shop.v1.Shop/Get]}",
            '4:48: methods are written without the leading slash; did you mean "shop.v1.Shop/Get"?',
        ),
        (
            "{type: ignore, path: response.x, methods: [Get]}",
            "4:48: not a method; say pkg.Service/Method, with * for any part: shop.v1.Shop/*",
        ),
        ("{type: ignore, path: response.x, runs: [shp]}", '4:45: "shp" is not in runs; did you mean "shop"?'),
        ("{type: ignore, path: response.x, runs: [zz]}", '4:45: "zz" is not in runs; runs has shop, cart'),
        ('{type: ignore, path: response.x, id: ""}', "4:42: id: cannot be empty"),
        ('{type: ignore, path: response.x, reason: "a\\nb"}', "4:46: reason: one line without control characters"),
    ],
)
def test_a_mistake_in_one_rule(tmp_path, rule, said):
    """Line, column, what is wrong, what to do."""
    assert problems(tmp_path, f"# a comment\nruns: [shop, cart]\nrules:\n  - {rule}\n") == [f"mirror.yaml:{said}"]


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (
            "{type: ignore, path: response.x}",
            "{type: ignore, path: response.x}",
            "3:26: the rule on line 2 is of the same type on the same path and scope; keep one",
        ),
        (
            "{type: tolerance, path: response.x, absolute: 1, methods: [a.B/*, c.D/E]}",
            "{type: tolerance, path: response.x, absolute: 2, methods: [c.D/E]}",
            "3:29: the rule on line 2 is of the same type on the same path and scope; keep one",
        ),
        (
            "{type: unordered, path: response.x}",
            "{type: keyed, path: response.x, by: [id]}",
            "3:25: contradicts the rule on line 2: a list is either unordered or keyed; keep one",
        ),
        (
            "{type: ignore, path: response.x, id: a}",
            "{type: ignore, path: response.y, id: a}",
            '3:42: the id "a" is taken by the rule on line 2; ids are unique',
        ),
        (
            "{type: ignore, path: response.x}",
            "{type: tolerance, path: 'response.x.y[*]', absolute: 1}",
            "3:29: the rule has no effect: the rule on line 2 ignores response.x",
        ),
        (
            "{type: ignore, path: response.**}",
            "{type: ignore, path: response.x.**.id, methods: [a.B/*]}",
            "3:26: the rule has no effect: the rule on line 2 ignores response.**",
        ),
        (
            "{type: ignore, path: response.*, methods: [a.B/*]}",
            "{type: unordered, path: response.x, methods: [a.B/C]}",
            "3:29: the rule has no effect: the rule on line 2 ignores response.*",
        ),
    ],
)
def test_rules_that_cannot_stand_together(tmp_path, first, second, said):
    """Overlaps, contradictions, doubled ids, rules in vain: whichever comes second is named."""
    assert problems(tmp_path, f"rules:\n  - {first}\n  - {second}\n") == [f"mirror.yaml:{said}"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("{type: tolerance, path: response.**, absolute: 1}", "{type: tolerance, path: response.x, absolute: 2}"),
        ("{type: ignore, path: response.x, methods: [a.B/*]}", "{type: ignore, path: response.x, methods: [c.D/*]}"),
        ("{type: ignore, path: response.x, methods: [a.B/*]}", "{type: unordered, path: response.x}"),
        ("{type: ignore, path: response.x, runs: [default]}", "{type: unordered, path: response.x}"),
        ("{type: ignore, path: response.x, expires: 2031-01-01}", "{type: unordered, path: response.x}"),
        ("{type: ignore, path: response.*}", "{type: unordered, path: response.**}"),
        ("{type: ignore, path: response.*.id}", "{type: unordered, path: response.**.id}"),
        ("{type: ignore, path: 'response.x[0]'}", "{type: unordered, path: 'response.x[*]'}"),
        ("{type: keyed, path: response.x, by: [id]}", "{type: unordered, path: 'response.x[*].y'}"),
    ],
)
def test_rules_that_can(tmp_path, first, second):
    """A narrower rule beside a wider one, other methods, an ignore that ends."""
    assert len(loaded(tmp_path, f"rules:\n  - {first}\n  - {second}\n").rules.rules) == 2


def test_rules_must_be_a_list(tmp_path):
    """A common slip."""
    assert problems(tmp_path, "rules: {type: ignore, path: response.x}") == [
        "mirror.yaml:1:8: rules is a list: start each rule with `- type: ...`"
    ]


def test_the_number_of_rules_is_limited(tmp_path):
    """A thousand."""
    rules = "\n".join(f"  - {{type: ignore, path: response.f{n}}}" for n in range(1001))
    assert problems(tmp_path, f"rules:\n{rules}") == ["mirror.yaml:2:3: more than 1000 rules"]


def test_many_rules_load_in_a_moment(tmp_path):
    """Held against each other by walking once, not pair by pair (the suite's timeout is the limit)."""
    rules = "\n".join(f"  - {{type: ignore, path: response.a.b.f{n}.c}}" for n in range(1000))
    assert len(loaded(tmp_path, f"rules:\n{rules}").rules.rules) == 1000
