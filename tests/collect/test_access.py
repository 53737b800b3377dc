"""Which token allows what, and what the caller is told."""

from __future__ import annotations

import base64

import pytest

from mirror.collect.access import Scope, Tokens

READ, WRITE, OTHER = "r" * 16, "w" * 16, "x" * 16
TOKENS = Tokens(read=[READ, "r2" * 8], write=[WRITE, "w2" * 8])


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize("token", [READ, "r2" * 8])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_any_token_of_the_scope_is_let_in(token: str, scheme: str) -> None:
    """Old and new together, while tokens are rotated."""
    assert TOKENS.denial(Scope.READ, [f"{scheme} {token}"]) is None


@pytest.mark.parametrize(
    ("authorization", "reason", "known"),
    [
        ([], "no_token", False),
        ([""], "no_token", False),
        (["Bearer"], "no_token", False),
        ([WRITE], "no_token", False),
        ([f"Token {WRITE}"], "no_token", False),
        ([f"Bearer {WRITE}", f"Bearer {WRITE}"], "no_token", False),
        ([basic(f"me:{WRITE}")], "no_token", False),
        (["Bearer " + WRITE * 1000], "no_token", False),
        ([f"Bearer {OTHER}"], "unknown_token", False),
        ([f"Bearer {WRITE[:-1]}"], "unknown_token", False),
        ([f"Bearer {WRITE}w"], "unknown_token", False),
        (["Bearer \udcff\u00e9"], "unknown_token", False),
        ([f"Bearer {READ}"], "wrong_scope", True),
    ],
)
def test_others_are_told_what_is_missing_and_never_what_would_be_right(
    authorization: list[str], reason: str, *, known: bool
) -> None:
    denied = TOKENS.denial(Scope.WRITE, authorization)
    assert denied is not None
    assert (denied.reason, denied.known) == (reason, known)
    assert "token" in denied.message
    for secret in (READ, WRITE, OTHER, basic(f"me:{WRITE}")):
        assert secret not in denied.message


def test_looking_up_is_reading_and_never_open_where_writing_is_not() -> None:
    assert TOKENS.to_look_up is Scope.READ
    only_writers = Tokens(write=[WRITE])
    assert only_writers.to_look_up is Scope.WRITE
    assert only_writers.denial(only_writers.to_look_up, []) is not None


def test_in_a_browser_the_token_is_the_password_of_any_user() -> None:
    assert TOKENS.denial(Scope.READ, [basic(f"anna:{READ}")], basic=True) is None
    assert TOKENS.denial(Scope.READ, [basic(f":{READ}")], basic=True) is None
    for wrong in (basic(READ), basic(f"{READ}:"), basic("a:b"), "Basic ???", "Basic é"):
        denied = TOKENS.denial(Scope.READ, [wrong], basic=True)
        assert denied is not None
        assert not denied.known


def test_a_scope_without_tokens_is_open_and_the_other_is_not() -> None:
    tokens = Tokens(write=[WRITE])
    assert tokens.denial(Scope.READ, []) is None
    assert tokens.denial(Scope.WRITE, []) is not None


def test_one_token_may_have_both_scopes() -> None:
    tokens = Tokens(read=[READ], write=[READ])
    assert [tokens.denial(scope, [f"Bearer {READ}"]) for scope in Scope] == [None, None]


def test_tokens_are_not_kept_as_they_are() -> None:
    assert READ not in repr(vars(TOKENS))
