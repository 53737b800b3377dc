"""`mirror diff` as its user sees it: exit codes, what is printed, and what is said of bad input."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from google.protobuf import descriptor_pb2

from tests.core.compare.shapes import SHOP, descriptor_set, order

TEXT = 'id: "1" items {sku: "a" price: 1.5} state: PAID'


@pytest.fixture
def folder(tmp_path):
    """Message files in all formats, and the schema."""
    (tmp_path / "shop.fds").write_bytes(descriptor_set(SHOP).SerializeToString())
    (tmp_path / "a.binpb").write_bytes(order(TEXT).SerializeToString())
    (tmp_path / "a.txtpb").write_text(TEXT)
    (tmp_path / "a.json").write_text('{"id": "1", "items": [{"sku": "a", "price": 1.5}], "state": "PAID"}')
    (tmp_path / "b.json").write_text('{"id": "2", "items": [{"sku": "a", "price": 1.75}], "cash": "\\u001b[31m"}')
    return tmp_path


def diff(folder, left, right, *more, type_name="shop.Order", environment=None):
    command = [sys.executable, "-c", "from mirror.cli import main; main()", "diff", left, right]
    command += ["--schema", "shop.fds", "--type", type_name, *more]
    environment = {**os.environ, **(environment or {})}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)


def _files(*imports: tuple[str, list[str]]) -> bytes:
    made = descriptor_pb2.FileDescriptorSet()
    for number, (name, imported) in enumerate(imports):
        file = made.file.add(name=name, syntax="proto3", dependency=imported)
        file.message_type.add(name=f"M{number}")
    return made.SerializeToString()


def test_a_descriptor_set_may_import_in_a_long_chain_in_any_order(folder):
    chain = [(f"f{n}.proto", [f"f{n + 1}.proto"] * (n < 2999)) for n in range(3000)]
    (folder / "chain.fds").write_bytes(_files(*chain))
    (folder / "e.json").write_text("{}")
    done = diff(folder, "e.json", "e.json", "--schema", "chain.fds", type_name="M0")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_descriptor_set_with_two_files_of_one_name_is_refused(folder):
    (folder / "double.fds").write_bytes(_files(("x.proto", []), ("x.proto", [])))
    done = diff(folder, "a.json", "a.json", "--schema", "double.fds")
    assert (done.returncode, done.stderr) == (2, "mirror: double.fds: two different files x.proto in it\n")


def test_what_the_terminal_cannot_show_is_escaped(folder):
    """Else the same files would end in a traceback and exit code 1, which means that they differ."""
    (folder / "é.json").write_text('{"id": "1"}')
    same = diff(folder, "é.json", "é.json", environment={"PYTHONIOENCODING": "ascii"})
    assert (same.returncode, same.stderr) == (0, "")
    assert same.stdout == "same  \\xe9.json and \\xe9.json (shop.Order)\n"


def test_the_same_in_any_format(folder):
    for left, right in (("a.binpb", "a.txtpb"), ("a.txtpb", "a.json"), ("a.json", "a.json")):
        done = diff(folder, left, right)
        assert (done.returncode, done.stdout) == (0, f"same  {left} and {right} (shop.Order)\n")


def test_different(folder):
    """Each path with both values, and nothing that a terminal obeys."""
    done = diff(folder, "a.json", "b.json")
    assert done.returncode == 1
    assert (
        done.stdout
        == """\
4 differences  in shop.Order
- a.json
+ b.json

  response.id
    - "1"
    + "2"

  response.state  at its default on the right
    - PAID
    + NEW

  response.items[0].price
    - 1.5
    + 1.75

  response.cash  only on the right
    + "\\u001b[31m"
"""
    )


def test_rules_and_json(folder):
    (folder / "mirror.yaml").write_text(
        "rules:\n"
        "  - {type: ignore, path: response.id, id: ids}\n"
        "  - {type: tolerance, path: 'response.items[*].price', absolute: 0.5, id: prices, methods: ['shop.Shop/*']}\n"
    )
    done = diff(folder, "a.json", "b.json", "--rules", "mirror.yaml", "--method", "shop.Shop/Get", "--json")
    printed = json.loads(done.stdout)
    assert done.returncode == 1
    assert (printed["same"], printed["difference_count"], printed["complete"]) == (False, 2, True)
    assert [d["path"] for d in printed["differences"]] == ["response.state", "response.cash"]
    assert [(d["path"], d["rule"]) for d in printed["ignored"]] == [
        ("response.id", "ids"),
        ("response.items[0].price", "prices"),
    ]


def test_a_rule_whose_path_the_type_lacks_is_named(folder):
    (folder / "mirror.yaml").write_text(
        "rules:\n"
        "  - {type: ignore, path: response.itms}\n"
        "  - {type: ignore, path: 'trailing_metadata[\"x\"]'}\n"  # no message can tell
    )
    done = diff(folder, "a.json", "b.json", "--rules", "mirror.yaml")
    assert done.returncode == 1
    assert "response.itms" in done.stderr
    assert "cannot apply to shop.Order" in done.stderr
    assert "trailing_metadata" not in done.stderr
    told = json.loads(diff(folder, "a.json", "b.json", "--rules", "mirror.yaml", "--json").stdout)
    assert ["itms" in each["problem"] for each in told["rules_that_cannot_apply"]] == [True]


def test_differences_under_a_rule_do_not_count(folder):
    (folder / "mirror.yaml").write_text("rules:\n  - {type: ignore, path: 'response.**'}\n")
    done = diff(folder, "a.json", "b.json", "--rules", "mirror.yaml")
    assert done.returncode == 0
    assert "under a rule" in done.stdout


BAD = [
    ("a.json", "no.json", [], "no.json: cannot be read: No such file or directory"),
    ("a.json", "shop.fds", [], "what it holds cannot be told by its name"),
    ("a.json", "bad.json", [], "bad.json: not a shop.Order"),
    ("a.json", "bad.txtpb", [], "bad.txtpb: not a shop.Order: 1:1"),
    ("a.json", "bad.binpb", [], "bad.binpb: not a shop.Order"),
    ("a.json", "latin.json", [], "latin.json: not UTF-8 at byte 1"),
    ("a.json", "deep.txtpb", [], "deep.txtpb: nested too deep"),
    ("a.json", "a.json", ["--schema", "a.json"], "a.json: not a descriptor set"),
    ("a.json", "a.json", ["--rules", "bad.yaml"], "bad.yaml:1"),
]


@pytest.mark.parametrize(("left", "right", "more", "words"), BAD)
def test_bad_input_is_said_with_its_place(folder, left, right, more, words):
    (folder / "bad.json").write_text('{"id": ')
    (folder / "bad.txtpb").write_text("nope: 1")
    (folder / "bad.binpb").write_bytes(b"\xff")
    (folder / "latin.json").write_bytes(b'"\xe9"')
    (folder / "deep.txtpb").write_text("parent {" * 5000)
    (folder / "bad.yaml").write_text("rulez: []\n")
    done = diff(folder, left, right, *more)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_misspelt_type_gets_a_hint(folder):
    done = diff(folder, "a.json", "a.json", type_name="shop.Ordr")
    assert done.returncode == 2
    assert 'did you mean "shop.Order"?' in done.stderr
