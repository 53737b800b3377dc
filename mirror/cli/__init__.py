"""The command `mirror`: one module a command, each a thin shell over the rooms below.

Exit codes: 0 pass or done, 1 fail, 2 usage or configuration, 3 inconclusive.
"""

from mirror.cli.app import main

__all__ = ["main"]
