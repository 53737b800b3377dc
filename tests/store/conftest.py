"""Stores to test with: a file of SQLite, and a real PostgreSQL where one can be started."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from mirror.store import JudgeOptions, Reader, Store
from tests.conftest import require


def _as_postgres(command: list[str]) -> list[str]:
    """PostgreSQL refuses to run as root: then as its own user."""
    return ["runuser", "-u", "postgres", "--", *command] if os.geteuid() == 0 else command


def _run(command: list[str], home: Path) -> None:
    subprocess.run(_as_postgres(command), check=True, stdout=subprocess.DEVNULL, cwd=home)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A throwaway PostgreSQL server; gives the URL of its first database."""
    server = shutil.which("postgres")
    require("postgres", "no PostgreSQL server on the PATH", present=server is not None)
    tools = Path(server).resolve().parent
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
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        _run([str(tools / "initdb"), "-D", f"{home}/data", "-A", "trust", "-U", "postgres", "--no-sync"], home)
        settings = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={home} -c fsync=off"
        control = [str(tools / "pg_ctl"), "-D", f"{home}/data", "-w"]
        _run([*control, "-l", f"{home}/log", "-o", settings, "start"], home)
        try:
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
        finally:
            _run([*control, "-m", "immediate", "stop"], home)
    finally:
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a store that does not exist yet, of each kind of database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/mirror.db"
    server = request.getfixturevalue("postgres").replace("postgresql://", "postgresql+psycopg://")
    name = f"t{abs(hash(request.node.nodeid)):x}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return server.replace("postgresql+psycopg://", "postgresql://").rsplit("/", 1)[0] + f"/{name}"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """A store that counts votes by minute, which close 10 s after their end."""
    with Store.open(url, judge=JudgeOptions(deadline_s=10)) as opened:
        yield opened


@pytest.fixture
def by_call(url: str) -> Iterator[Store]:
    """A store in which each triple is a vote."""
    with Store.open(url, judge=JudgeOptions(vote_by="call")) as opened:
        yield opened


@pytest.fixture
def reader(url: str, request: pytest.FixtureRequest) -> Iterator[Reader]:
    """A reader with connections of its own; ask for a store first."""
    opened = Reader.open(url)
    yield opened
    opened.close()
