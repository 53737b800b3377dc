"""What a webhook is sent: body, headers, signature. Pure.

Signed as Standard Webhooks have it: HMAC-SHA256 over `id.timestamp.body`, base64, as `v1,...`. Whoever is told checks
signature and age, and takes an id that it has seen for the same news: what is sent at least once may come twice.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from typing import Final, Literal

from mirror.store.verdict_changes import VerdictChange

SECRET_MIN: Final = 16  # characters
_PREFIX: Final = "whsec_"
_SLACK_TEXT_MAX: Final = 3000
_MARKS: Final = {"pass": ":white_check_mark:", "fail": ":x:", "inconclusive": ":hourglass:"}


def key_of(secret: str) -> bytes:
    """The key that a secret stands for: base64 behind `whsec_`, else its own bytes. Raises ValueError with what is wrong."""
    if secret.startswith(_PREFIX):
        try:
            key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            raise ValueError(f"what follows {_PREFIX} is not base64") from None
    else:
        key = secret.encode()
    if len(key) < SECRET_MIN:
        raise ValueError(f"has {len(key)} bytes; at least {SECRET_MIN} are wanted: openssl rand -hex 32")
    return key


def body_of(change: VerdictChange, format_: Literal["generic", "slack"], page: str) -> bytes:
    """The body; `page` is the address of the run's page."""
    told = slack(change, page) if format_ == "slack" else generic(change, page)
    return json.dumps(told, separators=(",", ":")).encode()


def generic(change: VerdictChange, page: str) -> dict[str, object]:
    """`id`, `type`, and the change as the store noted it."""
    return {"id": change.uid, "type": "verdict.changed", "page": page, **change.body}


def slack(change: VerdictChange, page: str) -> dict[str, object]:
    """One message in Slack's markup, which others (Mattermost, Rocket.Chat) take too."""
    body = change.body
    versions = f"{body['primary_version'] or '?'} -> {body['candidate_version'] or '?'}"
    head = f"{_MARKS[change.verdict]} *{change.verdict}* (was {body['before']}): run {_plain(change.run)}, "
    head += f"{_plain(body['service'])} {_plain(versions)}"
    reasons = [f"- {_plain(reason['text'])}" for reason in body["reasons"][:5]]
    more = body["reason_count"] - len(reasons)
    lines = [head, *reasons, *([f"and {more} more"] if more > 0 else [])]
    return {"text": "\n".join(lines)[:_SLACK_TEXT_MAX] + f"\n<{_plain(page)}|read on>"}


def headers_of(change: VerdictChange, body: bytes, key: bytes | None, now_s: float) -> dict[str, str]:
    """Headers of one attempt at `now_s` (unix seconds), signed where there is a key."""
    stamp = str(int(now_s))
    headers = {"content-type": "application/json", "webhook-id": change.uid, "webhook-timestamp": stamp}
    if key is not None:
        headers["webhook-signature"] = signature(change.uid, stamp, body, key)
    return headers


def signature(uid: str, stamp: str, body: bytes, key: bytes) -> str:
    """`v1,` and the base64 of the HMAC-SHA256 over `uid.stamp.body`."""
    digest = hmac.new(key, b".".join((uid.encode(), stamp.encode(), body)), hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def _plain(text: str) -> str:
    """Text without Slack's markup: it comes from calls and people."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", " ")
