"""Options that several commands have, said once; and where a configuration is looked for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from mirror.cli.logs import LogFormat

DEFAULT_FILE: Final = Path("mirror.yaml")

# Of commands that look at what a collector keeps.
ConfigOption: TypeAlias = Annotated[
    Path | None, typer.Option("--config", help="The collector's mirror.yaml; ./mirror.yaml if there is one.")
]
StoreOption: TypeAlias = Annotated[
    str | None, typer.Option("--store", help="The store's URL, in the place of the configured one.")
]

# Of commands that run until a signal.
OwnConfigOption: TypeAlias = Annotated[
    Path | None, typer.Option("--config", help="The configuration; without it mirror.yaml, if it is there.")
]
AddressesOption: TypeAlias = Annotated[
    Path | None,
    typer.Option("--addresses-file", help="Write the addresses listened on there, as JSON, once ready."),
]
LogFormatOption: TypeAlias = Annotated[
    LogFormat, typer.Option("--log-format", envvar="MIRROR_LOG_FORMAT", help="Lines of the log: text or json.")
]
