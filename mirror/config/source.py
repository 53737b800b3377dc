"""Reads YAML into plain values that remember where they stood. Touches one file.

Only the plain part of YAML is taken: no tags, no merge keys, text keys, and limits on bytes, depth and nodes, so that a
hostile file gets a clear error and not our memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from mirror.config.problems import ConfigError, Mark, Problem

Loc: TypeAlias = tuple[str | int, ...]
BYTES_MAX: Final = 1 << 20
DEPTH_MAX: Final = 32
NODES_MAX: Final = 100_000  # after aliases are followed
_TAG: Final = "tag:yaml.org,2002:"
_SCALARS: Final = frozenset({"null", "bool", "int", "float", "str", "timestamp"})


@dataclass(frozen=True, slots=True)
class Source:
    """A configuration's values with their places. Locations are keys and positions from the root."""

    name: str
    value: dict[str, Any]
    keys: Mapping[Loc, Mark] = field(default_factory=dict)
    values: Mapping[Loc, Mark] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def mark(self, loc: Loc, *, key: bool = False) -> Mark:
        """Where the value (or its key) at `loc` stands; steps that the file has not are left out."""
        known: Loc = ()
        for step in loc:
            known = (*known, step) if (*known, step) in self.values else known
        return (self.keys if key and known in self.keys else self.values).get(known, Mark(source=self.name))


def read(path: Path) -> Source:
    """The values of a YAML file; raises ConfigError where it is missing, unreadable, too large or no YAML."""
    try:
        with path.open("rb") as file:
            data = file.read(BYTES_MAX + 1)
    except FileNotFoundError:
        raise ConfigError([Problem(Mark(source=str(path)), "no such file")]) from None
    except OSError as error:
        raise ConfigError([Problem(Mark(source=str(path)), f"cannot be read: {error.strerror}")]) from None
    return parse(data, str(path))


def parse(data: bytes, name: str) -> Source:
    """The values of YAML bytes; `name` stands in every message. Raises ConfigError where they are no YAML."""
    try:
        return _Reader(name).read(data)
    except _Refused as refused:
        raise ConfigError([refused.problem]) from None


def scalar(text: str) -> Any:
    """What YAML makes of one plain word, as environment variables need it: `5` a number, `5s` text."""
    try:
        node = YAML(typ="safe", pure=True).compose(text)
    except YAMLError:
        return text
    if not isinstance(node, ScalarNode) or str(node.tag).removeprefix(_TAG) not in {"bool", "int", "float"}:
        return text
    return YAML(typ="safe", pure=True).constructor.construct_object(node)


def _line(text: str, line: int) -> str:
    return text.splitlines()[line - 1] if 0 < line <= text.count("\n") + 1 and text else ""


class _Refused(Exception):  # noqa: N818 - control flow of this module
    def __init__(self, mark: Mark, text: str) -> None:
        super().__init__(text)
        self.problem = Problem(mark, text)


class _Reader:
    def __init__(self, name: str) -> None:
        self._name = name
        self._keys: dict[Loc, Mark] = {}
        self._values: dict[Loc, Mark] = {}
        self._problems: list[Problem] = []
        self._nodes = 0
        self._constructor = YAML(typ="safe", pure=True).constructor

    def read(self, data: bytes) -> Source:
        if len(data) > BYTES_MAX:
            raise _Refused(Mark(source=self._name), f"larger than {BYTES_MAX >> 20} MiB")
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise _Refused(Mark(line, 1, self._name), "not UTF-8 text") from None
        node = self._compose(text)
        value = {} if node is None else self._convert(node, ())
        if value is None:
            value = {}
        if not isinstance(value, dict):
            raise _Refused(self._mark(node), "the file holds no settings; expected `name: value` lines")
        return Source(self._name, value, self._keys, self._values, tuple(self._problems))

    def _compose(self, text: str) -> Node | None:
        try:
            self._check_depth(YAML(typ="safe", pure=True).parse(text))
            node: Node | None = YAML(typ="safe", pure=True).compose(text)
        except MarkedYAMLError as error:
            at = error.problem_mark or error.context_mark
            mark = Mark(at.line + 1, at.column + 1, self._name) if at else Mark(source=self._name)
            hint = "; inside {...} put a path with [*] in quotes" if "[*]" in _line(text, mark.line) else ""
            raise _Refused(mark, f"not valid YAML: {error.problem or error.context}{hint}") from None
        except (YAMLError, ValueError) as error:
            raise _Refused(Mark(source=self._name), f"not valid YAML: {str(error).splitlines()[0]}") from None
        return node

    def _check_depth(self, events: Iterator[Any]) -> None:
        depth = 0
        for event in events:
            if isinstance(event, CollectionStartEvent):
                depth += 1
                if depth > DEPTH_MAX:
                    raise _Refused(self._mark(event), f"nested deeper than {DEPTH_MAX} levels")
            elif isinstance(event, CollectionEndEvent):
                depth -= 1

    def _mark(self, node: Any) -> Mark:
        quoted = getattr(node, "style", None) in {"'", '"'}
        return Mark(node.start_mark.line + 1, node.start_mark.column + 1, self._name, quoted)

    def _convert(self, node: Node, loc: Loc) -> Any:
        self._nodes += 1
        if self._nodes > NODES_MAX or len(loc) > DEPTH_MAX:
            raise _Refused(self._mark(node), "too many values, or aliases that multiply without end")
        self._values[loc] = self._mark(node)
        match node:
            case MappingNode():
                return self._mapping(node, loc)
            case SequenceNode():
                return [self._convert(item, (*loc, i)) for i, item in enumerate(node.value)]
            case _:
                return self._scalar(node)

    def _mapping(self, node: MappingNode, loc: Loc) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key, mark = key_node.value, self._mark(key_node)
            if not isinstance(key_node, ScalarNode) or key_node.tag == _TAG + "merge":
                self._problems.append(Problem(mark, "merge keys and compound keys are not supported"))
            elif (*loc, key) in self._keys:
                first = self._keys[(*loc, key)]
                self._problems.append(Problem(mark, f'"{key}" stands here twice; the first is on line {first.line}'))
            else:
                self._keys[(*loc, key)] = mark
                if value_node.tag != _TAG + "null":  # `name:` with nothing behind it: the default
                    values[key] = self._convert(value_node, (*loc, key))
        return values

    def _scalar(self, node: Node) -> Any:
        sort = str(node.tag).removeprefix(_TAG)
        if sort not in _SCALARS:
            self._problems.append(Problem(self._mark(node), f"the tag {node.tag} is not supported"))
            return None
        try:
            value = self._constructor.construct_object(node)
        except (YAMLError, ValueError, OverflowError):
            words = {"timestamp": "date", "int": "number", "float": "number"}
            self._problems.append(Problem(self._mark(node), f"not a {words.get(sort, 'value')}"))
            return None
        return value.isoformat() if isinstance(value, date) else value
