"""Maps the acceptance suite's options to the engine's, and its differences to the suite's words. Nothing more.

For `python ../shared/acceptance/message_differencer/harness.py tests.acceptance.differencer:adapter`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from mirror.core.compare import REFERENCE, CompareOptions, FieldOptions, Lists, compare
from mirror.core.model import Difference, Kind
from mirror.core.path import Field, Index, Key, Path, PathPattern, Typed
from mirror.core.rules import Ignore, MethodRules, Scope

KINDS: Final = {Kind.VALUE: "modified", Kind.MISSING: "deleted"}  # the others have the suite's names


def adapter(left: Any, right: Any, options: dict[str, Any], _pool: Any) -> tuple[bool, list[dict[str, str]], None]:
    """Whether the two are equal, and the differences in order; see the harness."""
    result = compare(left, right, _rules(options), root=(), options=_options(options))
    return result.same, [_difference(each, left) for each in result.report], None


def _options(options: dict[str, Any]) -> CompareOptions:
    floats, report = options.get("float", {}), options.get("report", {})
    tolerance = floats.get("default", {})
    fields = options.get("fields")
    return replace(
        REFERENCE,
        equivalent=options.get("equivalence") == "equivalent",
        partial=options.get("partial", False),
        force_no_presence=options.get("force_compare_no_presence", False),
        nan_equal=floats.get("nan_equal", False),
        approximate=floats.get("mode") == "approximate",
        margin=tolerance.get("margin"),
        fraction=tolerance.get("fraction"),
        lists=Lists(options.get("repeated", "list")),
        only=(tuple(fields["left"]), tuple(fields["right"])) if fields is not None else None,
        fields=tuple(_field(name, options) for name in sorted(_named(options))),
        matches=report.get("matches", False),
        moves=report.get("moves", True),
        ignores=report.get("ignores", True),
        aggregates=report.get("aggregates", False),
    )


def _named(options: dict[str, Any]) -> set[str]:
    return {*options.get("ignore", ()), *options.get("treat_as", ()), *options.get("float", {}).get("fields", ())}


def _field(name: str, options: dict[str, Any]) -> FieldOptions:
    treat = options.get("treat_as", {}).get(name)
    tolerance = options.get("float", {}).get("fields", {}).get(name, {})
    return FieldOptions(
        name,
        ignore=name in options.get("ignore", ()),
        lists=Lists(treat) if isinstance(treat, str) else None,
        by=tuple(treat["map"]) if isinstance(treat, dict) else (),
        margin=tolerance.get("margin"),
        fraction=tolerance.get("fraction"),
    )


def _rules(options: dict[str, Any]) -> MethodRules:
    """Paths without indexes: an index may stand behind each name."""
    made = []
    for path in options.get("ignore_paths", ()):
        names = path.split(".")
        for repeated in range(2 ** (len(names) - 1)):
            steps = [name + "[*]" * (repeated >> at & 1) for at, name in enumerate(names)]
            scope = Scope(path=PathPattern.parse(".".join(steps)))
            made.append(Ignore(scope=scope, id=f"{path} {repeated}"))
    return MethodRules(made)


def _difference(difference: Difference, root: Any) -> dict[str, str]:
    found = {"kind": KINDS.get(difference.kind, str(difference.kind)), "path": _text(difference.path, root)}
    if difference.right_path:
        found["new_path"] = _text(difference.right_path, root)
    return found


def _text(path: Path, root: Any) -> str:
    """As MessageDifferencer's StreamReporter writes a path: the type inside an Any is no step of it."""
    text = ""
    extensions = root.DESCRIPTOR.file.pool
    for step in path:
        match step:
            case Field(name):
                text += f".{name}"
            case Index(index):
                text += f"[{index}]"
            case Key(key):
                text += f"[{_key(key)}]"
            case Typed(name):
                text += f".({name})" if _is_extension(extensions, name) else ""
    return text.removeprefix(".")


def _key(key: str | int | bool) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key) or "''"


def _is_extension(pool: Any, name: str) -> bool:
    try:
        pool.FindExtensionByName(name)
    except KeyError:
        return False
    return True
