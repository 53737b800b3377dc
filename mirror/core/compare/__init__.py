"""Compares two messages field by field. Read `compare` first: its docstring holds the rules of meaning.

Pure. `engine` is the way in; `compiler` works out plans; `scalars`, `fields`, `repeated`, `maps` and `special` are their parts,
`generated` writes them as one function; `walk` is what they share; `lists`, `elements`, `matching` and `align` pair the
elements of lists; `values` and `classes` decide about single values; `floods` guards; `text` is for readers.
"""

from mirror.core.compare.engine import Comparer, compare, comparer
from mirror.core.compare.options import METADATA_IGNORE, REFERENCE, CompareOptions, FieldOptions, Lists
from mirror.core.compare.result import Result
from mirror.core.compare.text import value_text
from mirror.core.compare.values import EnumNumber

__all__ = [
    "METADATA_IGNORE",
    "REFERENCE",
    "CompareOptions",
    "Comparer",
    "EnumNumber",
    "FieldOptions",
    "Lists",
    "Result",
    "compare",
    "comparer",
    "value_text",
]
