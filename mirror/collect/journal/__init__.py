"""The embedded journal: what was received, on disk before it is acknowledged, until it was counted."""

from mirror.collect.journal.file import JournalError
from mirror.collect.journal.journal import Entry, Journal, JournalLimits

__all__ = ["Entry", "Journal", "JournalError", "JournalLimits"]
