"""A rule's one status, of what the schemas of many methods said of it; and whether it ever matches."""

from dataclasses import replace
from datetime import date

from mirror.core.path import PathPattern
from mirror.core.rules import Ignore, Scope
from mirror.serve.rules import NEVER_MATCHED_FROM, rule_lines
from mirror.store.views import RuleStatus, RuleView

RULE = Ignore(scope=Scope(path=PathPattern.parse("response.total")), id="ignore response.total")


def line(*statuses: str, uses=None, today=date(2026, 1, 1), rule=RULE):
    said = tuple(RuleStatus(RULE.id, "run", f"s.S/M{i}", status) for i, status in enumerate(statuses))
    (made,) = rule_lines([rule], [RuleView(RULE.id, 3, 0.0, said, uses or {})], today)
    return made


def test_a_rule_for_all_methods_is_valid_where_one_of_them_has_its_path():
    assert line("unknown", "valid", "unknown").status.status == "valid"


def test_a_path_that_no_method_has_is_unknown():
    assert line("unknown", "unknown").status.status == "unknown"


def test_without_a_method_in_its_scope_nothing_is_said():
    assert line().status is None


def test_what_was_said_when_it_had_expired_is_no_status():
    """The file gave it a later day, and the collector has not said anything since."""
    assert line("expired").status is None


def test_a_rule_never_matches_once_it_was_asked_often_in_vain():
    assert line(uses={RULE.digest: (NEVER_MATCHED_FROM, 0)}).never_matched
    assert line(uses={RULE.digest: (NEVER_MATCHED_FROM, 0)}).trouble == "never matched in 1,000 comparisons"
    assert not line(uses={RULE.digest: (NEVER_MATCHED_FROM - 1, 0)}).never_matched
    assert not line(uses={RULE.digest: (NEVER_MATCHED_FROM, 1)}).never_matched
    assert not line(uses={"as it was written before": (NEVER_MATCHED_FROM, 0)}).never_matched
    assert not line().never_matched


def test_an_expired_rule_is_in_trouble_for_that():
    expired = replace(RULE, expires=date(2025, 12, 31))
    made = line("unknown", uses={RULE.digest: (NEVER_MATCHED_FROM, 0)}, rule=expired)
    assert not made.never_matched
    assert made.trouble == "expired, it applied until 2025-12-31"


def test_an_unknown_path_is_trouble_and_a_pending_one_is_none():
    assert line("unknown").trouble.startswith("s.S/M0: ")
    assert line("misused").trouble.startswith("s.S/M0: ")
    assert line("pending").trouble == ""
