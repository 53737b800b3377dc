"""`mirror rules`: what CI and people see, and the exit codes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from google.protobuf import descriptor_pb2

from tests.core.protoc import SHOP, descriptor_set

GOOD = """\
runs: [shop]
rules:
  - type: tolerance
    path: response.total
    absolute: 0.01
    methods: [t.Shop/GetQuote]
    reason: rounding
    owner: ada
  - {type: tolerance, path: "response.**", relative: 0.1, reason: r, owner: o}
  - {type: ignore, path: "response.items[*].price", reason: r, owner: o, methods: [t.Shop/GetQuote]}
"""


@pytest.fixture
def mirror(tmp_path):
    """Runs `mirror rules ...` in a folder with `good.yaml` and `shop.fds`."""
    (tmp_path / "good.yaml").write_text(GOOD, encoding="utf-8")
    (tmp_path / "shop.fds").write_bytes(descriptor_set(SHOP, "--include_imports"))

    def run(*arguments, **files):
        for name, text in files.items():
            (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
        command = [sys.executable, "-c", "from mirror.cli import main; main()", "rules", *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout, done.stderr

    return run


def test_a_good_file(mirror):
    """One line a rule, exit code 0; without a schema it says that paths were not checked."""
    code, out, _ = mirror("check", "good.yaml")
    assert code == 0
    assert out.splitlines()[-2] == "good.yaml: 3 rules, none wrong"
    assert "their paths were not checked" in out.splitlines()[-1]
    code, out, _ = mirror("check", "good.yaml", "--schema", "shop.fds", "--strict")
    assert code == 0
    assert out.count("valid") == 3


def test_a_file_that_cannot_be_used(mirror):
    """Every problem with its place, exit code 2."""
    text = "rules:\n  - {type: ignor, path: response.x}\n  - {type: ignore, path: reponse}\n"
    code, _, error = mirror("check", "bad.yaml", bad=text)
    assert code == 2
    assert error.splitlines() == [
        "mirror: bad.yaml cannot be used",
        'bad.yaml:2:12: unknown rule type "ignor"; did you mean "ignore"?',
        'bad.yaml:3:26: a call has no "reponse"; did you mean "response"?',
    ]
    code, out, _ = mirror("check", "bad.yaml", "--json")
    assert code == 2
    assert json.loads(out)["problems"][0] == {
        "line": 2,
        "column": 12,
        "source": "bad.yaml",
        "problem": 'unknown rule type "ignor"; did you mean "ignore"?',
    }


def test_a_path_that_does_not_exist(mirror):
    """Known only with a schema; then exit code 1, and the method that knows most of it."""
    text = "rules:\n  - {type: ignore, path: 'response.items[*].skuu'}\n  - {type: tolerance, path: response.courier, absolute: 1}\n"
    assert mirror("check", "typo.yaml", typo=text)[0] == 0
    code, out, _ = mirror("check", "typo.yaml", "--schema", "shop.fds", "--json")
    assert code == 1
    found = [(rule["status"], rule["problem"]) for rule in json.loads(out)["rules"]]
    assert found == [
        ("unknown", 't.Shop/GetQuote: t.Item has no "skuu"; did you mean "sku"?'),
        ("misused", "t.Shop/GetQuote: a tolerance needs a number, but this is a string"),
    ]


def test_strict_asks_for_more(mirror):
    """Reasons, owners, rules in force, paths that the schema knows."""
    text = """\
rules:
  - {type: ignore, path: response.total, expires: 2020-01-31}
  - {type: ignore, path: response.x, methods: [u.V/*], reason: r, owner: o}
"""
    code, out, _ = mirror("check", "lax.yaml", "--schema", "shop.fds", lax=text)
    assert code == 0
    assert "expired" in out
    code, out, _ = mirror("check", "lax.yaml", "--schema", "shop.fds", "--strict", "--json")
    assert code == 1
    rules = json.loads(out)["rules"]
    assert [rule["lacking"] for rule in rules] == [["expired", "no reason", "no owner"], ["pending"]]
    assert rules[1]["problem"] == "no method of the schema is in its scope"


def test_a_schema_that_cannot_be_used(mirror, tmp_path):
    """Each says how to make a good one; exit code 2."""
    (tmp_path / "bare.fds").write_bytes(b"")
    (tmp_path / "text.fds").write_bytes(b"not a descriptor set")
    assert "no service in it" in mirror("check", "good.yaml", "--schema", "bare.fds")[2]
    code, _, error = mirror("check", "good.yaml", "--schema", "text.fds")
    assert code == 2
    assert "--include_imports" in error
    assert mirror("check", "good.yaml", "--schema", "none.fds")[0] == 2


def test_a_descriptor_set_without_its_imports(mirror, tmp_path):
    """The well-known types are ours; everything else must be in it."""
    (tmp_path / "lean.fds").write_bytes(descriptor_set(SHOP))
    assert mirror("check", "good.yaml", "--schema", "lean.fds")[0] == 0
    file = descriptor_pb2.FileDescriptorProto(name="a.proto", dependency=["b.proto"])
    (tmp_path / "gap.fds").write_bytes(descriptor_pb2.FileDescriptorSet(file=[file]).SerializeToString())
    code, _, error = mirror("check", "good.yaml", "--schema", "gap.fds")
    assert code == 2
    assert "b.proto is missing in the descriptor set; make it with --include_imports" in error


def test_explain(mirror):
    """What applies first, then what is overruled."""
    code, out, _ = mirror("explain", "response.total", "--config", "good.yaml", "--method", "t.Shop/GetQuote")
    assert code == 0
    assert out.splitlines() == [
        (
            "tolerance response.total absolute=0.01 relative=0.0 in t.Shop/GetQuote "
            "[tolerance response.total in t.Shop/GetQuote]"
        ),
        "    rounding, ada",
        "overruled: tolerance response.** absolute=0.0 relative=0.1 [tolerance response.**]",
        "    r, o",
    ]
    _, out, _ = mirror("explain", "response.total", "--config", "good.yaml", "--method", "x.Y/Z", "--json")
    assert [rule["id"] for rule in json.loads(out)["rules"]] == ["tolerance response.**"]


MANY = """\
rules:
  - {type: ignore, path: response.debug}
  - {type: tolerance, path: response.total, absolute: 1}
  - {type: tolerance, path: 'response.items[2].price', absolute: 1}
  - {type: tolerance, path: 'response.items[*].price', absolute: 2}
  - {type: tolerance, path: response.**, absolute: 3}
  - {type: ignore, path: 'response.lines[*]'}
"""


@pytest.mark.parametrize(
    ("path", "applying", "overruled"),
    [
        ("response.items[2].price", ["response.items[2].price"], ["response.items[*].price", "response.**"]),
        ("response.items[*].price", ["response.items[2].price", "response.items[*].price"], ["response.**"]),
        ("response.*", ["response.debug", "response.total", "response.**"], []),
        ("response.lines[*].price", ["response.lines[*]"], ["response.**"]),
    ],
)
def test_explain_a_pattern_at_which_rules_apply_that_overrule_each_other_at_some_paths_only(
    mirror, path, applying, overruled
):
    _, out, _ = mirror("explain", path, "--config", "many.yaml", "--json", many=MANY)
    found = json.loads(out)
    assert [rule["path"] for rule in found["rules"]] == applying
    assert [rule["path"] for rule in found["overruled"]] == overruled


NEW = """\
rules:
  - type: text
    path: response.courier
    whitespace: collapse
    replace: [{pattern: '\\d+ ms', with: T}, {pattern: x, with: ''}]
  - {type: text, path: response.seal, json: true, json_ignore: [/id, /at]}
  - {type: keyed, path: response.items, by: [sku, price.cents]}
  - {type: presence, path: response.tax}
  - {type: presence, path: response.total}
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("response.courier", "text response.courier replace='\\d+ ms' with 'T', then 'x' with '' whitespace=collapse"),
        ("response.seal", "text response.seal json=true json_ignore=/id,/at"),
        ("response.items", "keyed response.items by=sku,price.cents"),
        ("response.tax", "presence response.tax"),
    ],
)
def test_explain_says_what_is_set_and_no_more(mirror, path, line):
    _, out, _ = mirror("explain", path, "--config", "new.yaml", new=NEW)
    assert out == f"{line} [{line.split()[0]} {path}]\n"


def test_a_rule_that_can_do_nothing_there_is_told_by_the_schema(mirror):
    code, out, _ = mirror("check", "new.yaml", "--schema", "shop.fds", new=NEW)
    assert code == 1
    assert "this field has no presence: unset equals default there without a rule" in out
    assert out.count("valid") == 4


def test_explain_below_an_ignored_path(mirror):
    """The rule above decides."""
    _, out, _ = mirror("explain", "response.items[3].price.cents", "--config", "good.yaml")
    assert out.splitlines()[0].startswith("ignore response.items[*].price in t.Shop/GetQuote")


def test_explain_where_nothing_applies(mirror):
    """Said in words; a bad path is exit code 2 with its column."""
    assert mirror("explain", "status.code", "--config", "good.yaml")[1] == (
        "No rule applies at status.code: any difference there counts.\n"
    )
    code, _, error = mirror("explain", "response..x", "--config", "good.yaml")
    assert code == 2
    assert "column 9" in error
