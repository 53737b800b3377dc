"""A throwaway PostgreSQL server for tests, which can be restarted; not a test. Skipped with the reason where none can be started."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import create_engine, text

from tests.conftest import require
from tests.live.mesh import free_ports

DEBIAN = Path("/usr/lib/postgresql")  # where its packages put the server, which is then on no PATH


class Postgres:
    """In `home`. PostgreSQL refuses to run as root: then it runs as its own user."""

    def __init__(self, tools: Path, home: Path) -> None:
        (port,) = free_ports(1)
        self.url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        self._home = home
        self._initdb = [str(tools / "initdb"), "-D", f"{home}/data", "-A", "trust", "-U", "postgres", "--no-sync"]
        self._control = [str(tools / "pg_ctl"), "-D", f"{home}/data", "-w"]
        self._settings = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={home} -c fsync=off"

    def create(self) -> None:
        """Make the server's files."""
        self._run(self._initdb)

    def start(self) -> None:
        """Return once it answers."""
        self._run([*self._control, "-l", f"{self._home}/log", "-o", self._settings, "start"])

    def stop(self) -> None:
        """At once: connections are cut, as in a crash."""
        self._run([*self._control, "-m", "immediate", "stop"])

    def database(self, name: str) -> str:
        """The URL of a new database."""
        server = self.url.replace("postgresql://", "postgresql+psycopg://")
        engine = create_engine(server, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return f"{self.url.rsplit('/', 1)[0]}/{name}"

    def _run(self, command: list[str]) -> None:
        if os.geteuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self._home)


@contextlib.contextmanager
def postgres_server() -> Iterator[Postgres]:
    """A running one; it is gone afterwards."""
    server = shutil.which("postgres") or max(map(str, DEBIAN.glob("*/bin/postgres")), default=None)
    require("postgres", f"no PostgreSQL server on the PATH or in {DEBIAN}", present=server is not None)
    root = os.geteuid() == 0
    can_switch = not root or (
        shutil.which("runuser") and subprocess.run(["id", "postgres"], capture_output=True, check=False).returncode == 0
    )
    require("postgres", "it does not run as root and there is no user postgres", present=bool(can_switch))
    # Not below pytest's own directory, which only the user who runs the tests may enter.
    home = Path(tempfile.mkdtemp(prefix="mirror-pg-"))
    try:
        if root:
            shutil.chown(home, "postgres")
        made = Postgres(Path(server).resolve().parent, home)
        made.create()
        made.start()
        try:
            yield made
        finally:
            made.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)
