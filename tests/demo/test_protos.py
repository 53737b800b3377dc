"""The candidate's schema is the shop's with one field more, and its generated code is what it says."""

import difflib

from tests.conftest import ROOT

PROTOS = ROOT / "demo/protos"


def changed(name):
    old, new = ((PROTOS / folder / "shop/v1" / name).read_text().splitlines() for folder in (".", "newer"))
    return [line for line in difflib.ndiff(old, new) if line.startswith(("+ ", "- ")) and not line[2:].startswith("//")]


def test_newer_schema_adds_one_field_and_nothing_else():
    assert [line.split("//")[0].rstrip() for line in changed("shop.proto")] == ["+   string segment = 6;"]
    assert changed("legacy.proto") == []


def test_generated_code_of_each_version_is_of_that_version():
    for version, there in (("current", False), ("newer", True)):
        code = (ROOT / f"demo/mirror_demo/gen/{version}/shop/v1/shop_pb2.py").read_text()
        assert ("segment" in code) == there
        assert "Protobuf Python Version: 4.25" in code  # which loads on every protobuf from 4.25 to 7
