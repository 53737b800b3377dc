"""The oracle itself, held to what MessageDifferencer's own unit tests assert."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from mirror.core.compare import REFERENCE, CompareOptions, FieldOptions, Lists
from tests.conftest import SHARED, require
from tests.core.compare.reference import equal

SUITE = SHARED / "acceptance" / "message_differencer"


def cases(name):
    """The cases of one file; none where the suite is absent."""
    file = SUITE / name
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


@pytest.fixture(scope="module")
def pool():
    require("shared", "the acceptance suite lies beside the repository", present=SUITE.exists())
    made = DescriptorPool()
    for file in FileDescriptorSet.FromString((SUITE / "unittest.fds").read_bytes()).file:
        made.AddSerializedFile(file.SerializeToString())
    return made


def options_of(said) -> CompareOptions:
    """The suite's vocabulary as our options; places to ignore and what to report are not in them."""
    fields: dict[str, FieldOptions] = {}

    def add(name, **own):
        fields[name] = replace(fields.get(name, FieldOptions(name)), **own)

    for name in said.get("ignore", ()):
        add(name, ignore=True)
    for name, how in said.get("treat_as", {}).items():
        add(name, **({"lists": Lists(how)} if isinstance(how, str) else {"by": tuple(how["map"])}))
    floats = said.get("float", {})
    for name, tolerance in floats.get("fields", {}).items():
        add(name, **tolerance)
    only = said.get("fields")
    return replace(
        REFERENCE,
        equivalent=said.get("equivalence") == "equivalent",
        partial=said.get("partial", False),
        force_no_presence=said.get("force_compare_no_presence", False),
        nan_equal=floats.get("nan_equal", False),
        approximate=floats.get("mode") == "approximate",
        **floats.get("default", {}),
        lists=Lists(said.get("repeated", "list")),
        fields=tuple(fields.values()),
        only=(tuple(only["left"]), tuple(only["right"])) if only else None,
    )


@pytest.mark.parametrize(("name", "count"), [("cases.jsonl", 277), ("cases_newer.jsonl", 28)])
def test_the_oracle_agrees_with_every_case_of_the_reference(pool, name, count):
    made = cases(name)
    wrong = []
    for case in made:
        kind = GetMessageClass(pool.FindMessageTypeByName(case["type"]))
        sides = []
        for side in ("left_b64", "right_b64"):
            message = kind()
            message.MergeFromString(base64.b64decode(case[side]))
            sides.append(message)
        places = frozenset(case["options"].get("ignore_paths", ()))
        if equal(*sides, options_of(case["options"]), places) != case["expected_equal"]:
            wrong.append(case["name"])
    assert len(made) == count
    assert not wrong
