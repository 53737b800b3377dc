"""Whether this process is a shadow. May read the environment, nothing else.

The answer comes from the deployment's own `MIRROR_ROLE` alone. A header never decides it: no client can turn a primary
into a shadow and so switch its side effects off. It is one answer for the whole process, so it is the same in handlers,
threads and executors (a flag kept in a context variable is lost in an executor).
"""

from __future__ import annotations

import os
from functools import cache

from grpc_mirror.settings import SettingsError
from grpc_mirror.settings_checks import role_problem
from grpc_mirror.v1 import attributes


@cache
def is_shadow() -> bool:
    """True on candidate and secondary deployments, where answers reach no user and side effects must not happen.

    Read once, at the first call. Without `MIRROR_ROLE` a process is a primary.

    Raises:
        SettingsError: `MIRROR_ROLE` is none of the roles; guessing either way would be dangerous.
    """
    role = os.environ.get("MIRROR_ROLE", "").strip().lower()
    problem = role_problem("MIRROR_ROLE", role)
    if problem:
        raise SettingsError([problem])
    return role in (attributes.CANDIDATE, attributes.SECONDARY)


def shadow_reason() -> str:
    """Why effects are refused here, for messages; asked where they are."""
    if is_shadow():
        return f"this is a shadow (MIRROR_ROLE={os.environ.get('MIRROR_ROLE', '').strip().lower()})"
    return "the caller of this call is a shadow (x-mirror-shadow)"
