"""A rule's one status, of what the schemas of many methods said of it."""

from datetime import date

from mirror.core.path import PathPattern
from mirror.core.rules import Ignore, Scope
from mirror.serve.rules import rule_lines
from mirror.store.views import RuleStatus, RuleView

RULE = Ignore(scope=Scope(path=PathPattern.parse("response.total")), id="ignore response.total")


def line(*statuses: str):
    said = tuple(RuleStatus(RULE.id, "run", f"s.S/M{i}", status) for i, status in enumerate(statuses))
    (made,) = rule_lines([RULE], [RuleView(RULE.id, 3, 0.0, said)], date(2026, 1, 1))
    return made


def test_a_rule_for_all_methods_is_valid_where_one_of_them_has_its_path():
    assert line("unknown", "valid", "unknown").status.status == "valid"


def test_a_path_that_no_method_has_is_unknown():
    assert line("unknown", "unknown").status.status == "unknown"


def test_without_a_method_in_its_scope_nothing_is_said():
    assert line().status is None
