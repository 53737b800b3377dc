"""The store: counts, kept comparisons and states, in SQLite or PostgreSQL.

One writer (`Store`) commits what the pipeline gathered (`Changes`) in one transaction and judges what it touched; any
number of readers (`Reader`) answer what pages, reports and verdicts ask. Start reading at `tables`.
"""

from mirror.store.changes import Changes
from mirror.store.checkpoints import Checkpoint, Claim, FencedError
from mirror.store.engine import StoreError
from mirror.store.increments import InForce
from mirror.store.judging import JudgeOptions
from mirror.store.limits import Limits
from mirror.store.queries import Reader
from mirror.store.store import Store

__all__ = [
    "Changes",
    "Checkpoint",
    "Claim",
    "FencedError",
    "InForce",
    "JudgeOptions",
    "Limits",
    "Reader",
    "Store",
    "StoreError",
]
