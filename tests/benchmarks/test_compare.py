"""The parts of benchmarks/compare.py that decide: what the peer said, ratios, promises. No speed is asserted here."""

from __future__ import annotations

import gc
import os
import shutil
import struct
import subprocess
import sys
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.message_compare import methods, peer, promises
from benchmarks.message_compare.cases import SHAPES, Case, cases, split
from tests.conftest import ROOT

SMALL, MEDIUM, LARGE = SHAPES


def row(case: Case, **rounds: list[float]) -> promises.Row:
    return promises.Row(
        case, 4, {"cpp": [100.0], "ours": [100.0], "ours_differences": [100.0], "ours_rules": [100.0]} | rounds
    )


def test_the_peers_lines_are_read_for_one_case_only():
    text = "Small\tone\tcpp_gen_compare\t900.5\nSmall\tone\tcpp_dyn_compare\t1.2e+03\nSmall\tfive\tcpp_dyn_compare\t7\n"
    assert peer.parse(text, "Small.one") == {"cpp_gen_compare": 900.5, "cpp_dyn_compare": 1200.0}


def test_a_peer_that_does_not_say_what_is_compared_with_is_broken(tmp_path):
    """A ratio to nothing is not a ratio."""
    program = tmp_path / peer.PROGRAM
    program.write_text("#!/bin/sh\nprintf '%s\\t%s\\tcpp_dyn_compare\\t5\\n' Small same\n")
    program.chmod(0o755)
    with pytest.raises(peer.BrokenError, match=r"cpp_dyn_compare_counting for Small\.same"):
        peer.times(tmp_path, "Small.same")


def test_a_peer_that_fails_is_broken_and_its_words_are_kept(tmp_path):
    program = tmp_path / peer.PROGRAM
    program.write_text("#!/bin/sh\necho out of luck >&2\nexit 3\n")
    program.chmod(0o755)
    with pytest.raises(peer.BrokenError, match="out of luck"):
        peer.times(tmp_path, "Small.same")


@pytest.mark.parametrize(("program", "package"), peer.PACKAGES.items())
def test_a_missing_compiler_is_named_with_its_package(tmp_path, monkeypatch, program, package):
    for name in peer.SOURCES:
        (tmp_path / name).touch()
    monkeypatch.setattr(peer.shutil, "which", lambda name: None if name == program else f"/usr/bin/{name}")
    assert peer.missing(tmp_path) == f"{program} is not installed (Debian, Ubuntu: apt-get install {package})"


@pytest.mark.parametrize(("required", "code"), [("", 0), ("envoy,message-compare", 1)])
def test_without_the_peer_one_line_says_so(tmp_path, required, code):
    """A clone has no peer: `make bench` goes on there, unless the peer was demanded."""
    shutil.copytree(ROOT / "benchmarks", tmp_path / "project/benchmarks")
    path = os.pathsep.join((str(ROOT), str(ROOT / "interceptors")))
    done = subprocess.run(
        [sys.executable, tmp_path / "project/benchmarks/compare.py", "--check"],
        env=os.environ | {"PYTHONPATH": path, "MIRROR_REQUIRE": required},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    assert done.stderr.startswith("compare: not measured: no bench.cc in ")
    assert done.stderr.count("\n") == 1
    assert not done.stdout


@given(st.lists(st.binary(max_size=50)))
def test_records_of_a_data_file_come_back(records):
    assert list(split(b"".join(struct.pack("<I", len(one)) + one for one in records))) == records


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (Case(LARGE, "same"), ("cpp_dyn_compare", 0, 0.3)),
        (Case(SMALL, "reordered"), ("cpp_dyn_compare", 0, 0.3)),
        (Case(SMALL, "one"), ("cpp_dyn_compare_counting", 1, 3.0)),
        (Case(SMALL, "five"), ("cpp_dyn_compare_counting", 1, 3.0)),
        (Case(MEDIUM, "one"), ("cpp_dyn_compare_counting", 1, 1.5)),
        (Case(LARGE, "one"), ("cpp_dyn_compare_counting", 1, 1.5)),
        (Case(MEDIUM, "five"), ("cpp_dyn_compare_counting", 5, 2.5)),
        (Case(LARGE, "five"), ("cpp_dyn_compare_counting", 500, 2.5)),
    ],
    ids=lambda value: value.name if isinstance(value, Case) else "",
)
def test_each_case_has_its_peer_its_differences_and_its_limit(case, expected):
    assert (promises.cpp_method(case), case.changed, promises.limit(case)) == expected


def test_shapes_are_chosen_by_letter():
    assert [case.name for case in cases("LS")][::4] == ["Small.same", "Large.same"]


def test_a_ratio_is_the_best_round_to_the_best_round():
    one = row(Case(MEDIUM, "one"), cpp=[200.0, 100.0], ours=[150.0, 300.0])
    assert one.ratio("ours", "cpp") == 1.5
    assert one.ns_a_leaf("ours") == 1.5
    assert one.ns_a_leaf("deepdiff") is None


def test_a_promise_is_held_up_to_its_limit_and_missed_beyond():
    kept = row(Case(MEDIUM, "one"), ours=[150.0], ours_rules=[195.0])
    missed = row(Case(LARGE, "same"), ours=[31.0], ours_rules=[41.0])
    made = promises.promises([kept, missed])
    assert [(one.what, one.held) for one in made] == [
        ("ours / C++", True),
        ("ours / C++", False),
        ("with 50 rules / without", True),
        ("with 50 rules / without", False),
    ]
    assert [line.split()[-1] for line in promises.promises_table(made)[1:]] == ["pass", "miss", "pass", "miss"]


def test_the_table_says_a_dash_for_what_was_not_run():
    titles, line = promises.figures_table([row(Case(SMALL, "five"), ours=[1000.0], upb_eq=[25.0])])
    assert len(titles) == len(line)
    assert line.split() == ["S", "five", "10", "100", "10", "10", "2.5", "-", "-", "10.00", "1.00", "0.10"]


def test_json_keeps_every_round():
    rows = [row(Case(SMALL, "one"), ours=[40.0, 20.0])]
    said = promises.as_json(rows, promises.promises(rows))
    assert said["cases"][0]["ns_a_pair_by_round"]["ours"] == [40.0, 20.0]
    assert said["cases"][0]["ns_a_leaf"]["ours"] == 2.0
    assert said["promises"][0]["ratio"] == 0.2


def test_a_method_that_finds_something_else_ends_the_run():
    """What is fast and wrong is not measured."""
    with pytest.raises(methods.WrongError, match=r"ours found 3 in 4 pairs of Medium\.one, not 4"):
        methods.verify(Case(MEDIUM, "one"), [(None, None)] * 4, {"ours": lambda _: 3})


def test_time_is_the_best_repeat_of_the_average_pass_over_a_pair():
    """A clock that goes 20 ms further at each look: four or five passes over two pairs fill a repeat."""
    ticks = count()
    ns = methods.ns_a_pair({"any": len}, [(None, None)] * 2, clock=lambda: next(ticks) * 0.02)
    assert ns == {"any": pytest.approx(10e6)}


def test_methods_take_turns_and_the_collector_is_off_only_meanwhile():
    seen: list[tuple[str, bool]] = []
    ticks = count()
    turns = {name: lambda _, name=name: seen.append((name, gc.isenabled())) or 0 for name in "ab"}
    methods.ns_a_pair(turns, [(None, None)], clock=lambda: float(next(ticks)))
    assert seen == [("a", False), ("b", False)] * methods.REPEATS
    assert gc.isenabled()


def test_fifty_rules_of_three_kinds_stand_elsewhere():
    rules = methods.rules_elsewhere().rules
    assert len({rule.id for rule in rules}) == 50
    assert {rule.type for rule in rules} == {"ignore", "tolerance", "unordered"}
