"""The calls that a replica made while it served one, as a section that can be read. Pure, but for what `SchemaLookup` does.

By whom they went to, in the order in which they were begun: who answered, what was asked and what was told. What was asked
stands at the paths of the comparer; the rest is not compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from google.protobuf.message import DecodeError
from grpc_mirror.v1.capture_pb2 import Capture, OutboundPolicy

from mirror.core.status import status_name
from mirror.serve import tree
from mirror.serve.calls import CallView, SchemaLookup, messages_of
from mirror.serve.tree import Node

SECTION = "outbound"


def with_outbound(
    view: CallView | None, captures: Sequence[bytes], count: int, schemas: SchemaLookup
) -> CallView | None:
    """The view of a call with those that it made; `count` is how many there were, where not all are kept."""
    if view is None or not captures:
        return view
    calls: dict[str, list[Node]] = {}
    for raw in captures:
        try:
            capture = Capture.FromString(raw)
        except DecodeError:
            continue
        made = calls.setdefault(capture.method, [])
        made.append(_call(capture, f"{SECTION}[{tree.quoted(capture.method)}][{len(made)}]", schemas))
    nodes = (tree.array(f"{SECTION}[{tree.quoted(name)}]", name, made) for name, made in calls.items())
    more = count - len(captures)
    omitted = (*view.omitted, f"{more:,} outbound calls, over what is kept") if more > 0 else view.omitted
    return replace(view, sections=view.sections | {SECTION: tree.group(SECTION, "", nodes)}, omitted=omitted)


def _call(capture: Capture, path: str, schemas: SchemaLookup) -> Node:
    return tree.group(path, "", _parts(capture, path, schemas))


def _parts(capture: Capture, path: str, schemas: SchemaLookup) -> Iterable[Node]:
    policy = OutboundPolicy.Name(capture.outbound.policy).removeprefix("OUTBOUND_POLICY_").lower()
    yield tree.leaf(f"{path}.policy", "policy", policy)
    messages = [*messages_of(capture, schemas(capture.schema_fingerprint), prefix=f"{path}.")]
    for name in ("request", "response"):
        nodes = [message.node for message in messages if message.direction == name and message.node is not None]
        if len(nodes) == 1:
            yield replace(nodes[0], key=name)
        elif nodes:
            yield tree.array(f"{path}.{name}s", f"{name}s", nodes)
    yield tree.leaf(f"{path}.status", "status", status_name(capture.status_code))
