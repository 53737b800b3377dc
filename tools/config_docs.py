"""Writes docs/mirror.schema.json and the table of settings in docs/configuration.md from the settings themselves.

python tools/config_docs.py           writes both
python tools/config_docs.py --check   changes nothing; exit code 1 where one is out of date
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from mirror.config.env import LISTS, PREFIX
from mirror.config.sections import FileSettings
from mirror.config.webhook_models import Webhook

DOCS = Path(__file__).parent.parent / "docs"
BEGIN, END = "<!-- settings: written by tools/config_docs.py -->", "<!-- settings: end -->"


def schema_text() -> str:
    """The JSON Schema of mirror.yaml."""
    schema = FileSettings.model_json_schema()
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "mirror.yaml"}
    return json.dumps(head | {key: value for key, value in schema.items() if key != "title"}, indent=2) + "\n"


def settings_table() -> str:
    """A Markdown table a section, one row a setting."""
    plain = [row for name, field in FileSettings.model_fields.items() if (row := _row((name,), field))]
    parts = [_table("Top level", "Settings that belong to no section.", plain)]
    for name, field in FileSettings.model_fields.items():
        model = field.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            parts.append(_table(f"`{name}`", model.__doc__ or "", list(_rows(model, (name,)))))
    hooks = [row.rpartition(" | ")[0] + " | - |" for row in _rows(Webhook, ("webhooks[]",))]
    parts.append(_table("`webhooks`", f"A list, in the file alone. {Webhook.__doc__}", hooks))
    return "\n\n".join(parts)


def page_text(page: str) -> str:
    """The page with its table as it should be."""
    head, rest = page.split(BEGIN)
    tail = rest.split(END)[1]
    return f"{head}{BEGIN}\n\n{settings_table()}\n\n{END}{tail}"


def _rows(model: type[BaseModel], loc: tuple[str, ...]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        if row := _row((*loc, name), field):
            yield row


def _row(loc: tuple[str, ...], field: Any) -> str:
    if loc in LISTS or (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
        return ""
    variable = PREFIX + "_".join(loc).upper()
    default = "-" if field.is_required() else _shown(loc, field.default)
    return f"| `{'.'.join(loc)}` | {default} | {field.description} | `{variable}` |"


def _shown(loc: tuple[str, ...], value: Any) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`[{', '.join(value)}]`"
    if isinstance(value, int) and loc[-1].endswith("_bytes") and value % (1 << 20) == 0:
        return f"`{value >> 20}MiB`"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return f"`{value}`" if value != "" else '`""`'


def _table(title: str, text: str, rows: list[str]) -> str:
    head = "| Setting | Default | What it does | Environment |\n| --- | --- | --- | --- |"
    return f"### {title}\n\n{text.strip()}\n\n{head}\n" + "\n".join(rows)


def main(*, check: bool) -> int:
    """Write or check; the exit code."""
    page = DOCS / "configuration.md"
    wanted = {DOCS / "mirror.schema.json": schema_text(), page: page_text(page.read_text(encoding="utf-8"))}
    stale = [file for file, text in wanted.items() if not file.exists() or file.read_text(encoding="utf-8") != text]
    for file in stale:
        if check:
            print(f"docs/{file.name} is out of date; run: python tools/config_docs.py")
        else:
            file.write_text(wanted[file], encoding="utf-8")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv[1:]))
