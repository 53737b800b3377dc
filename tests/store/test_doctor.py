"""`mirror doctor` over a real PostgreSQL: reached, of which revision, and whether its user may write."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, text

from mirror.cli.doctor import beyond, storing
from mirror.cli.doctor.findings import State
from mirror.config import load
from mirror.store import Limits, Store, StoreError
from mirror.store.checking import check_store
from tests.live.postgres import Postgres


@pytest.fixture
def url(request: pytest.FixtureRequest) -> str:
    """An empty database of its own."""
    server: Postgres = request.getfixturevalue("postgres")
    return server.database(f"d{abs(hash(request.node.nodeid)):x}")


def run(url: str, *statements: str) -> None:
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def told(url: str) -> list[tuple[State, str]]:
    return [(one.state, one.text) for one in storing.store(load(None, {"MIRROR_STORE_URL": url}))]


def test_an_empty_one_then_one_with_tables(url: str) -> None:
    (reached,) = told(url)
    assert reached[0] is State.OK
    assert "without tables" in reached[1]
    with Store.open(url):
        pass
    assert told(url)[1] == (State.OK, "postgres may write")
    (clock,) = beyond.clocks(load(None, {"MIRROR_STORE_URL": url}), {})
    assert clock.text == "agrees with the database"


def test_of_a_database_that_lets_nobody_in_check_says_nothing_of_backups(url: str) -> None:
    """Nothing is known of its data then; whoever took the advice would throw good ones away."""
    found = check_store(url.replace("postgres@", "nobody:secret@"), Limits(), now_s=0.0)
    ((code, text_, advice),) = [(one.code, one.text, one.advice) for one in found.findings]
    assert (code, found.revision) == ("unreachable", None)
    assert text_.startswith("store postgresql://nobody:***@")
    assert "password" in advice
    assert "backup" not in advice


def test_a_user_who_may_not_write_is_told_with_the_grant(url: str) -> None:
    role = f"reader_{url.rsplit('/', 1)[1]}"
    run(url, f"CREATE ROLE {role} LOGIN")
    as_reader = url.replace("postgres@", f"{role}@")
    assert [state for state, _ in told(as_reader)] == [State.OK, State.WRONG]  # it may not make tables
    with Store.open(url):
        pass
    found = list(storing.store(load(None, {"MIRROR_STORE_URL": as_reader})))
    assert [one.state for one in found] == [State.WRONG]
    assert "may not read its tables" in found[0].text
    assert found[0].advice.startswith("GRANT SELECT, INSERT")
    run(url, f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    found = list(storing.store(load(None, {"MIRROR_STORE_URL": as_reader})))
    assert [one.state for one in found] == [State.OK, State.NOTE, State.WRONG]
    assert "may not write to" in found[-1].text
    assert f'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO "{role}"' == found[-1].advice
    run(url, found[-1].advice)
    assert [state for state, _ in told(as_reader)][-1] is State.OK
    run(url, *(f"DROP OWNED BY {role}", f"DROP ROLE {role}"))


def test_a_database_whose_sessions_are_read_only_is_told(url: str) -> None:
    """Its user holds all rights; a collector that starts on it would fail all the same."""
    with Store.open(url):
        pass
    run(url, f"ALTER DATABASE {url.rsplit('/', 1)[1]} SET default_transaction_read_only = on")
    assert told(url)[-1] == (State.WRONG, "sessions of postgres are read-only here")
    with pytest.raises(StoreError, match="default_transaction_read_only"):
        Store.open(url)
