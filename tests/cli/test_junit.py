"""The JUnit report: valid by the common schema, and red or green as the run is."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from tests.cli.test_verdict import mirror
from tests.serve.using import FAILING, PASSING, SUSPECT, UNDECIDED, filled
from tests.store.building import RUN, A, several

# The schema that Jenkins' xunit plugin ships (junit-10.xsd), as far as it concerns what we write: children and attributes
# of each element, those that must be there marked by "!". GitLab, GitHub's reporters and Surefire's readers ask for less.
SCHEMA = {
    "testsuites": ({"testsuite"}, {"name", "time", "tests", "failures", "errors"}),
    "testsuite": (
        {"testsuite", "properties", "testcase", "system-out", "system-err"},
        {
            "name!",
            "tests!",
            "failures!",
            "errors!",
            "group",
            "time",
            "skipped",
            "timestamp",
            "hostname",
            "id",
            "package",
        },
    ),
    "properties": ({"property"}, set()),
    "property": (set(), {"name!", "value!"}),
    "testcase": ({"skipped", "error", "failure", "system-out", "system-err"}, {"name!", "time", "classname", "group"}),
    "failure": (set(), {"type", "message"}),
    "error": (set(), {"type", "message"}),
    "skipped": (set(), {"type", "message"}),
    "system-out": (set(), set()),
}
MIXED = {"failure", "error", "skipped", "system-out"}  # may hold text


def valid(element: ET.Element) -> None:
    children, attributes = SCHEMA[element.tag]
    assert {child.tag for child in element} <= children
    assert {name for name in attributes if name.endswith("!")} <= {f"{name}!" for name in element.attrib}
    assert set(element.attrib) <= {name.rstrip("!") for name in attributes}
    assert element.tag in MIXED or not (element.text or "").strip()
    for child in element:
        valid(child)


@pytest.fixture
def written(tmp_path, monkeypatch, capsys):
    """Fills a store, runs the command and gives the checked document, by name of case what came of it."""
    monkeypatch.chdir(tmp_path)
    policy = "{vote_by: call, min_duration_s: 0, min_triples: 1, budget: 0.01}"
    (tmp_path / "mirror.yaml").write_text(f"store: {{url: 'sqlite:///{tmp_path}/mirror.db'}}\npolicy: {policy}\n")

    def write(groups):
        with filled(f"sqlite:///{tmp_path}/mirror.db", groups):
            pass
        code, out, _ = mirror(capsys, monkeypatch, "report", "--run", RUN, "--junit", "out.xml")
        assert (code, RUN in out) == (0, True)
        root = ET.parse(tmp_path / "out.xml").getroot()
        valid(root)
        (suite,) = root
        cases = {
            case.get("name"): next((c for c in case if c.tag != "system-out"), None) for case in suite.iter("testcase")
        }
        assert len(cases) == int(suite.get("tests"))
        for tag, total in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
            assert sum(c is not None and c.tag == tag for c in cases.values()) == int(suite.get(total))
        return {name: None if c is None else (c.tag, c.get("type")) for name, c in cases.items()}, suite

    return write


VERDICT = f"verdict of run {RUN}"


def test_a_regressed_path_is_a_failure_and_so_is_the_verdict(written):
    cases, suite = written(FAILING)
    assert cases == {
        VERDICT: ("failure", "fail"),
        f"{A} (value)": ("failure", "regressed"),
        "(any unexplained path) (any)": ("failure", "regressed"),
    }
    (failure,) = [c.find("failure") for c in suite.iter("testcase") if c.get("name") == f"{A} (value)"]
    assert "raw-only in 60" in failure.get("message")
    assert f"/runs/{RUN}/paths/" in failure.text


def test_a_run_without_differences_is_green_with_a_case_for_each_method(written):
    assert written(PASSING)[0] == {VERDICT: None, "(all paths)": None}


def test_an_inconclusive_run_is_not_green(written):
    assert written(UNDECIDED)[0][VERDICT] == ("error", "inconclusive")


def test_a_suspect_is_skipped(written):
    cases, _ = written(SUSPECT)
    assert (cases[VERDICT], cases[f"{A} (value)"]) == (("error", "inconclusive"), ("skipped", "suspect"))


def test_noise_passes_and_so_does_what_was_accepted(written, tmp_path, capsys, monkeypatch):
    noise = several(50, named="n", candidate=["response.at"]) + several(50, named="m", secondary=["response.at"])
    written([*FAILING, *noise])
    said = ["--run", RUN, "--owner", "ada", "--reason", "meant", "--expires", "2099-01-31"]
    assert mirror(capsys, monkeypatch, "accept", A, *said)[0] == 0
    cases, _ = written([])
    assert (cases[f"{A} (value)"], cases["response.at (value)"]) == (None, None)


def test_what_xml_cannot_hold_is_replaced(written):
    _, suite = written(several(60, candidate_version="2.0\u0001<&>"))
    properties = {one.get("name"): one.get("value") for one in suite.iter("property")}
    assert properties["candidate_version"] == "2.0\ufffd<&>"


def test_a_place_that_cannot_be_written_is_2(capsys, monkeypatch, written):
    written(PASSING)
    code, _, err = mirror(capsys, monkeypatch, "report", "--run", RUN, "--junit", "nowhere/out.xml")
    assert (code, "--junit nowhere/out.xml: cannot be written" in err) == (2, True)
