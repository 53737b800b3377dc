"""The part of `mirror report` about schemas: what the candidate's response types have changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Console

from mirror.cli.reading import plain, table
from mirror.core.schema_changes import ChangeKind
from mirror.serve import models, words

CHANGES_SHOWN: Final = 20  # of one method


def show_schema_changes(out: Console, found: Sequence[models.MethodSchemaChanges]) -> None:
    """A table a method; nothing where there is none."""
    if not found:
        return
    total = sum(one.count for one in found)
    out.print(f"\nschema changes ({words.count(total)}): what the candidate's response types have changed")
    out.print(words.SCHEMA_CHANGES_MEAN)
    for one in found:
        out.print()
        out.print(plain(one.method))
        listed = table("change", "values", "where", "primary", "candidate", numbers=())
        for change in one.changes[:CHANGES_SHOWN]:
            listed.add_row(
                words.SCHEMA_CHANGES[ChangeKind(change.kind)],
                "compared" if change.comparable else "differ where set",
                *(plain(text or "-") for text in (change.path or change.name, change.left, change.right)),
            )
        out.print(listed)
        if one.count > CHANGES_SHOWN:
            out.print(f"and {words.count(one.count - CHANGES_SHOWN)} more; --json and the page have up to 200")
        if not one.complete:
            out.print("these schemas are too large to be looked at as a whole: there may be more")
