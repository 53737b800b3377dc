"""YAML with places: what is read, and what is refused with a clear error and bounded work."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror.config import ConfigError, load
from mirror.config.problems import PROBLEMS_MAX, Mark
from mirror.config.source import BYTES_MAX, DEPTH_MAX, parse, scalar
from tests.config.files import loaded, problems


def refused(text: str | bytes) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text if isinstance(text, bytes) else text.encode(), "mirror.yaml")
    return str(caught.value)


def test_values_remember_their_places():
    """Lines and columns from 1, of keys and of values; a quoted text begins after its quote."""
    source = parse(b'store:\n  url: "sqlite://"\nruns: [a, b]\n', "mirror.yaml")
    assert source.value == {"store": {"url": "sqlite://"}, "runs": ["a", "b"]}
    assert str(source.mark(("store", "url"))) == "mirror.yaml:2:8"
    assert str(source.mark(("store", "url"), key=True)) == "mirror.yaml:2:3"
    assert str(source.mark(("store", "url")).within(3)) == "mirror.yaml:2:11"
    assert str(source.mark(("runs", 1))) == "mirror.yaml:3:11"
    assert str(source.mark(("store", "nothing"))) == "mirror.yaml:2:3"


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "rules:\n", "\ufeffruns:\n"])
def test_an_empty_file_and_empty_names_are_the_defaults(tmp_path, text):
    """`rules:` with all of them commented out is no mistake."""
    assert loaded(tmp_path, text).runs == ("default",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "mirror.yaml:1:5: not valid YAML"),
        ("a: b: c", "mirror.yaml:1:5: not valid YAML"),
        ("a:\n\t- b", "mirror.yaml:2:1: not valid YAML"),
        ("a: *unknown", "mirror.yaml:1:4: not valid YAML"),
        ("rules: [{path: response.items[*].x}]", "put a path with [*] in quotes"),
        ("a: 1\n---\nb: 2", "not valid YAML"),
        ("- a\n- b", "mirror.yaml:1:1: the file holds no settings"),
        ("just words", "mirror.yaml:1:1: the file holds no settings"),
        (b"runs:\n  - \xff\n", "mirror.yaml:2:1: not UTF-8 text"),
        (b"a: \x00", "not valid YAML"),
    ],
)
def test_what_is_no_configuration(text, said):
    """One problem, with its place where there is one."""
    assert said in refused(text)


def test_doubled_and_strange_keys_and_tags(tmp_path):
    """Named all at once."""
    text = """\
        runs: [a]
        runs: [b]
        store: {<<: {url: x}}
        listen: {web: !!python/object:os.system x}
        """
    assert problems(tmp_path, text) == [
        'mirror.yaml:2:1: "runs" stands here twice; the first is on line 1',
        "mirror.yaml:3:9: merge keys and compound keys are not supported",
        "mirror.yaml:4:15: the tag tag:yaml.org,2002:python/object:os.system is not supported",
    ]


def test_aliases_work(tmp_path):
    """A list of methods said once."""
    text = """\
        rules:
          - {type: ignore, path: response.a, methods: &shop [shop.v1.Shop/*]}
          - {type: ignore, path: response.b, methods: *shop}
        """
    assert {rule.scope.methods for rule in loaded(tmp_path, text).rules.rules} == {("shop.v1.Shop/*",)}


def test_aliases_that_multiply_end_early():
    """A billion values in a few lines: refused before they are made."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert "aliases that multiply" in refused("\n".join(lines))


def test_an_alias_of_itself_ends():
    """It would be endless."""
    assert "aliases that multiply" in refused("a: &a [*a]")


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 10_000, "a: " + "[" * 500 + "]" * 500])
def test_depth_is_limited(text):
    """No recursion error, and no long wait."""
    assert f"nested deeper than {DEPTH_MAX}" in refused(text)


def test_size_is_limited():
    """Nothing over a MiB is parsed."""
    assert "larger than 1 MiB" in refused(b"#" * (BYTES_MAX + 1))


def test_huge_numbers_are_problems(tmp_path):
    """Python refuses to read them; so do we, with the place."""
    text = f"store: {{payload_keep_per_minute: {'9' * 5000}}}"
    assert problems(tmp_path, text) == ["mirror.yaml:1:34: not a number"]


def test_a_missing_file(tmp_path):
    """And a folder in its place."""
    with pytest.raises(ConfigError, match=r"none\.yaml: no such file"):
        load(tmp_path / "none.yaml", {})
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path, {})


def test_many_problems_are_counted(tmp_path):
    """The list stays readable."""
    found = problems(tmp_path, "\n".join(f"k{n}: 1" for n in range(PROBLEMS_MAX + 7)))
    assert len(found) == PROBLEMS_MAX + 1
    assert found[-1] == "... and 7 more"


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text):
    """Never another error than ConfigError."""
    try:
        parse(text.encode("utf-8", "surrogatepass"), "mirror.yaml")
    except ConfigError as error:
        said = str(error)
    else:
        said = "mirror.yaml"
    assert said.startswith("mirror.yaml")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("0.5", 0.5),
        ("true", True),
        ("5s", "5s"),
        ("", ""),
        ("[", "["),
        ("null", "null"),
        ("2027-01-31", "2027-01-31"),
    ],
)
def test_words_of_the_environment(text, value):
    """Numbers and truth values as YAML reads them; the rest is text."""
    assert scalar(text) == value


def test_marks_without_a_line_name_their_source():
    """An environment variable has no column."""
    assert str(Mark(source="MIRROR_RUNS").within(5)) == "MIRROR_RUNS"
