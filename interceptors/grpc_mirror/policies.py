"""Which policy answers an outbound call in a shadow. Pure: patterns and method names in, policies out.

A rule's pattern is a full method name (`shop.v1.Shop/GetProduct`) in which `*` stands for any run of characters, dots
and slash included. Of the rules that match a method the narrowest wins: the one with the most characters beside its
stars. Two different policies whose patterns are equally narrow and match a common name are refused when they are given.
Without a rule: allowed if the method is declared free of side effects and that switch is on, else the default.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from grpc_mirror.settings import SettingsError

ALLOW: Final = "allow"
BLOCK: Final = "block"
PATTERN_MAX_CHARS = 512
RULES_MAX = 1000
# What the asking itself may take beside the wait; where a call's own timeout leaves no more, that share of it.
ASKING_S: Final = 0.1
ASKING_SHARE: Final = 0.1
_PATTERN = re.compile(r"[\w.*]+/?[\w*]*", re.ASCII)


@dataclass(frozen=True)
class Stub:
    """The policy that answers with `answer`; see `stub`."""

    answer: Any


class Patience(NamedTuple):
    """How long the collector is to wait for an answer, and when the question is given up, whatever the reason."""

    wait_s: float
    deadline_s: float


@dataclass(frozen=True)
class Recorded:
    """The policy that answers as the primary was answered; see `recorded`."""

    wait_s: float
    otherwise: Literal["block"] | Stub

    def patience(self, timeout_s: float | None) -> Patience:
        """How long to wait in a call of this timeout: a call is not to outlast it for our sake."""
        all_s = self.wait_s + ASKING_S
        deadline_s = all_s if timeout_s is None else max(0.0, min(all_s, timeout_s))
        return Patience(min(self.wait_s, max(0.0, deadline_s - min(ASKING_S, ASKING_SHARE * deadline_s))), deadline_s)


Policy: TypeAlias = Literal["allow", "block"] | Stub | Recorded
RECORDED_WAIT_MAX_S: Final = 5.0


def recorded(*, wait_s: float = 0.5, otherwise: Literal["block"] | Stub = BLOCK) -> Recorded:
    """The policy that answers an outbound call in a shadow with what the primary was told for the same one.

    The same is: of the same mirrored call, to the same method, with the same request, and as many such ones before. The
    collector is asked, and waits for the primary's answer to come. For calls with one request, whose messages are
    protobuf's.

    Args:
        wait_s: how long the collector waits for the answer, up to RECORDED_WAIT_MAX_S; the asking may take ASKING_S more.
        otherwise: what happens where there is no such answer: "block", or `stub(...)`.
    """
    return Recorded(wait_s, otherwise)


def stub(answer: Any) -> Stub:
    """The policy that answers an outbound call in a shadow, without making it.

    Args:
        answer: the response message, of which each call gets a copy; of a streamed response a list or tuple of messages.
            Or a function that is called with the request (of a request stream: its iterator) and gives the response (of
            a response stream: an iterable). On aio channels it may be a coroutine function, or give an async iterable.
            An exception of it, such as a grpc.RpcError of the service's own, reaches the caller; so does a TypeError where
            it gives a message of another type than the method's. A fixed answer of one method is checked at the start.
    """
    return Stub(answer)


class Policies:
    """The rules of one client interceptor, checked when they are made."""

    def __init__(
        self,
        rules: Mapping[str, Policy],
        *,
        default: Policy = BLOCK,
        allow_safe: bool = False,
        is_safe: Callable[[str], bool] = lambda _method: False,
        misfit: Callable[[str, object], str] = lambda _method, _answer: "",
    ) -> None:
        """Raises SettingsError, which lists all problems.

        Args:
            rules: a policy for each pattern.
            default: of a method without a rule.
            allow_safe: allow methods without a rule that `is_safe` says yes to.
            is_safe: whether a method is declared free of side effects.
            misfit: what is wrong with a method's fixed answer, such as a message of another type; nothing where nothing is known.
        """
        cleaned = {str(pattern).removeprefix("/"): policy for pattern, policy in rules.items()}
        problems = _problems(cleaned, default) or _misfits(cleaned, misfit)
        if problems:
            raise SettingsError(problems)
        ordered = sorted(cleaned.items(), key=lambda rule: -_narrowness(rule[0]))
        self._exact = {pattern: policy for pattern, policy in ordered if "*" not in pattern}
        self._globs = tuple((_compiled(pattern), policy) for pattern, policy in ordered if "*" in pattern)
        self._default: Policy = default
        self._allow_safe = allow_safe
        self._is_safe = is_safe

    def of(self, method: str) -> Policy:
        """The policy of `pkg.Service/Method`."""
        exact = self._exact.get(method)
        if exact is not None:
            return exact
        for matches, policy in self._globs:
            if matches(method):
                return policy
        return ALLOW if self._allow_safe and self._is_safe(method) else self._default


def _compiled(pattern: str) -> Callable[[str], object]:
    return re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL).fullmatch


def _narrowness(pattern: str) -> int:
    return len(pattern) - pattern.count("*")


def _problems(rules: Mapping[str, Policy], default: Policy) -> list[str]:
    if len(rules) > RULES_MAX:
        return [f"policies: {len(rules)} rules, over {RULES_MAX}"]
    found = [_policy_problem("default", default)]
    for pattern, policy in rules.items():
        found += [_pattern_problem(pattern), _policy_problem(f"policies[{pattern!r}]", policy)]
    if any(found):
        return [problem for problem in found if problem]
    return [
        f"policies: {one!r} and {other!r} are equally narrow and match common names, but say different things; "
        "make one of them narrower"
        for one, other in combinations(rules, 2)
        if _narrowness(one) == _narrowness(other) and rules[one] != rules[other] and _overlap(one, other)
    ]


def _misfits(rules: Mapping[str, Policy], misfit: Callable[[str, object], str]) -> list[str]:
    """What is wrong with fixed answers of single methods. A function's answer, and that of a pattern, shows at a call."""
    found = []
    for pattern, policy in rules.items():
        stood_in = policy.otherwise if isinstance(policy, Recorded) else policy
        if "*" not in pattern and isinstance(stood_in, Stub) and not callable(stood_in.answer):
            wrong = misfit(pattern, stood_in.answer)
            if wrong:
                found.append(f"policies[{pattern!r}]: stub(...): {wrong}")
    return found


def _pattern_problem(pattern: str) -> str:
    if len(pattern) > PATTERN_MAX_CHARS:
        return f"policies: a pattern of {len(pattern)} characters, over {PATTERN_MAX_CHARS}"
    if not _PATTERN.fullmatch(pattern):
        return f"policies[{pattern!r}]: no pattern of method names; write 'pkg.Service/Method' or 'pkg.Service/*'"
    if "/" not in pattern and not pattern.endswith("*"):
        return f"policies[{pattern!r}]: matches no method; did you mean {pattern + '/*'!r}?"
    return ""


def _policy_problem(where: str, policy: object) -> str:
    if isinstance(policy, Recorded):
        if not 0 < policy.wait_s <= RECORDED_WAIT_MAX_S:
            return f"{where}: wait_s={policy.wait_s!r}: above 0 and at most {RECORDED_WAIT_MAX_S:g} seconds"
        if policy.otherwise != BLOCK and not isinstance(policy.otherwise, Stub):
            return f"{where}: otherwise={policy.otherwise!r}: 'block' or stub(...)"
        return ""
    if isinstance(policy, Stub) or policy in (ALLOW, BLOCK):
        return ""
    if isinstance(policy, str):
        close = difflib.get_close_matches(policy, (ALLOW, BLOCK), n=1, cutoff=0.5)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        hint = "; did you mean recorded()?" if policy == "recorded" else hint
        return f"{where}={policy!r}: one of 'allow', 'block', stub(...), recorded(...){hint}"
    return f"{where}: of type {type(policy).__name__}; to answer with it, write stub(...)"


def _overlap(one: str, other: str) -> bool:
    """Whether two patterns match a common name. A table of which prefixes of both do: O(length x length)."""
    before = [True] + [False] * len(other)
    for place, mark in enumerate(other):
        before[place + 1] = before[place] and mark == "*"
    for left in one:
        row = [before[0] and left == "*"]
        for place, right in enumerate(other):
            if left == "*" or right == "*":
                # A star takes nothing, or one character more of what the other one matches.
                row.append(before[place + 1] or row[place] or before[place])
            else:
                row.append(before[place] and left == right)
        before = row
    return before[-1]
