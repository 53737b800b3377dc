"""Errors that a command shows to its user as one message, without a traceback."""

from __future__ import annotations


class UsageError(Exception):
    """What the user gave cannot be used: exit code 2. The message says where and what to do."""
