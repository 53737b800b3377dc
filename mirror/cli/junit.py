"""A run as JUnit XML, which CI servers show as tests: one case for the verdict, one for each path that differs in one way.

*failure*: the run fails by it (regressed, or rejected). *skipped*: undecided yet (suspect, unjudged, noisy beyond what noise
explains). Noise that is explained and what someone accepted pass. An inconclusive verdict is an *error*: no run that is not
known to pass shall look green.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final, Literal
from xml.etree import ElementTree as ET

from mirror.cli.report_paths import pattern_text
from mirror.core.decisions import Decision, Ruling
from mirror.core.model import Hypothesis, Kind
from mirror.core.noise import State
from mirror.serve import models, shape, words
from mirror.serve.models_of_reports import Report

_NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_Outcome = Literal["passed", "failure", "error", "skipped"]
_Came = tuple[_Outcome, str, str]  # outcome, kind, message
_PASSED: Final[_Came] = ("passed", "", "")


@dataclass(frozen=True, slots=True)
class Case:
    """One test case: `kind` and `message` are of what is not passed, `text` is shown with it."""

    group: str
    name: str
    outcome: _Outcome
    kind: str = ""
    message: str = ""
    text: str = ""


def junit_xml(report: Report, page: Callable[[str], str], now_s: float) -> bytes:
    """The document; `page` makes addresses of pages, `now_s` is unix time."""
    today = datetime.fromtimestamp(now_s, UTC).date()
    found, paths = report.verdict, report.paths
    cases = [_verdict(found, page)]
    cases += [_case(one, found, page, _outcome(one, today)) for one in (*paths.differing, *paths.together)]
    cases += [_case(one, found, page, _decided(one, today) or _PASSED) for one in (*paths.explained, *paths.other)]
    differing = {one.method for one in (*paths.differing, *paths.together, *paths.explained, *paths.other)}
    cases += [
        Case(one.method, "(all paths)", "passed", text=f"nothing differed in {words.count(one.counts.triples)} triples")
        for one in report.methods
        if one.method not in differing
    ]
    return _document(found, cases, now_s)


def _verdict(found: models.RunVerdict, page: Callable[[str], str]) -> Case:
    lines = [reason.text for reason in (*found.reasons, *(m for m in found.missing if m not in found.reasons))]
    text = "\n".join([*lines, *found.blind_spots, page(found.page)])
    outcomes: dict[str, _Outcome] = {"pass": "passed", "fail": "failure"}
    message = lines[0] if lines else found.verdict
    return Case(
        "mirror", f"verdict of run {found.run}", outcomes.get(found.verdict, "error"), found.verdict, message, text
    )


def _case(one: models.Path, found: models.RunVerdict, page: Callable[[str], str], came: _Came) -> Case:
    text = one.evidence
    if found.epoch is not None:
        text += "\n" + page(shape.path_page(found.run, one.id, found.epoch))
    return Case(one.method, f"{pattern_text(one)} ({one.kind})", *came, text)


def _outcome(one: models.Path, today: date) -> _Came:
    """Of a path that differs, and noise does not explain it."""
    if (decided := _decided(one, today)) is not None:
        return decided
    if one.state == State.REGRESSED:
        return "failure", "regressed", one.evidence
    return "skipped", one.state, f"{one.state}: {one.evidence}"


def _decided(one: models.Path, today: date) -> _Came | None:
    """By a decision that holds; None: there is none."""
    made = one.decision
    if made is None:
        return None
    decision = Decision(
        Hypothesis(one.method, one.pattern, Kind(one.kind)),
        Ruling(made.what),
        made.owner,
        made.reason,
        made.expires,
        made.at_s,
    )
    if not decision.in_force(today):
        return None
    return ("failure", "rejected", decision.words) if decision.what is Ruling.REJECTED else _PASSED


def _document(found: models.RunVerdict, cases: Sequence[Case], now_s: float) -> bytes:
    count = {
        outcome: str(sum(case.outcome == outcome for case in cases)) for outcome in ("failure", "error", "skipped")
    }
    totals = {"tests": str(len(cases)), "failures": count["failure"], "errors": count["error"]}
    root = ET.Element("testsuites", {"name": "mirror", **totals})
    suite = ET.SubElement(
        root,
        "testsuite",
        {
            "name": _xml(f"run {found.run}"),
            **totals,
            "skipped": count["skipped"],
            "timestamp": datetime.fromtimestamp(now_s, UTC).strftime("%Y-%m-%dT%H:%M:%S"),
        },
    )
    properties = ET.SubElement(suite, "properties")
    for name in ("run", "service", "primary_version", "candidate_version", "epoch", "verdict", "triples", "bound"):
        ET.SubElement(properties, "property", {"name": name, "value": _xml(str(getattr(found, name)))})
    for case in cases:
        element = ET.SubElement(
            suite, "testcase", {"classname": _xml(case.group), "name": _xml(case.name), "time": "0"}
        )
        if case.outcome != "passed":
            said = ET.SubElement(element, case.outcome, {"type": case.kind, "message": _xml(case.message)})
            said.text = _xml(case.text)
        elif case.text:
            ET.SubElement(element, "system-out").text = _xml(case.text)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def _xml(text: str) -> str:
    """Text that XML can hold."""
    return _NOT_XML.sub("\ufffd", text)
