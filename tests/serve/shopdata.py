"""A store filled with a plausible run of a shop: three replicas, faults, noise, rules' hits, drops and an unknown run.

Nothing here is random in time: the same seed and `now_s` give the same store.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, timestamp_pb2
from grpc_mirror.v1 import capture_pb2, schema_pb2

from mirror.collect.comparisons import comparison_of
from mirror.core.model import (
    CallRecord,
    Difference,
    EpochKey,
    Group,
    Judged,
    Kind,
    Outcome,
    PairKey,
    Release,
    Resource,
    Role,
    Verdict,
)
from mirror.core.path import Field, Index, Key
from mirror.core.path import Path as FieldPath
from mirror.core.request_fields import request_fields
from mirror.core.schema_changes import ChangeKind, SchemaChange, SchemaChanges, SchemaPair
from mirror.core.triples import judge_group
from mirror.store import Changes, Store
from mirror.store.judging import JudgeOptions
from mirror.store.views import RuleStatus

NOW_S = 1_795_500_000.0
METHODS = ("shop.v1.Shop/GetOrder", "shop.v1.Shop/ListOrders", "shop.v1.Shop/Checkout")
ROLES = (Role.PRIMARY, Role.CANDIDATE, Role.SECONDARY)
_FILE = text_format.Parse(
    """
    name: "shop/v1/shop.proto" package: "shop.v1" syntax: "proto3" dependency: "google/protobuf/timestamp.proto"
    message_type { name: "Item"
      field { name: "sku" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
      field { name: "price" number: 2 type: TYPE_DOUBLE label: LABEL_OPTIONAL }
      field { name: "quantity" number: 3 type: TYPE_INT32 label: LABEL_OPTIONAL } }
    message_type { name: "Order"
      field { name: "id" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
      field { name: "status" number: 2 type: TYPE_ENUM type_name: ".shop.v1.Status" label: LABEL_OPTIONAL }
      field { name: "total" number: 3 type: TYPE_DOUBLE label: LABEL_OPTIONAL }
      field { name: "items" number: 4 type: TYPE_MESSAGE type_name: ".shop.v1.Item" label: LABEL_REPEATED }
      field { name: "created" number: 5 type: TYPE_MESSAGE type_name: ".google.protobuf.Timestamp" label: LABEL_OPTIONAL }
      field { name: "tags" number: 6 type: TYPE_STRING label: LABEL_REPEATED }
      field { name: "labels" number: 7 type: TYPE_MESSAGE type_name: ".shop.v1.Order.LabelsEntry" label: LABEL_REPEATED }
      field { name: "request_id" number: 8 type: TYPE_STRING label: LABEL_OPTIONAL }
      nested_type { name: "LabelsEntry" options { map_entry: true }
        field { name: "key" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
        field { name: "value" number: 2 type: TYPE_STRING label: LABEL_OPTIONAL } } }
    message_type { name: "GetOrderRequest" field { name: "id" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL } }
    enum_type { name: "Status" value { name: "STATUS_UNSPECIFIED" number: 0 }
      value { name: "STATUS_PAID" number: 1 } value { name: "STATUS_SHIPPED" number: 2 } }
    """,
    descriptor_pb2.FileDescriptorProto(),
)
_FILES = {
    file.name: file.SerializeToString()
    for file in (descriptor_pb2.FileDescriptorProto.FromString(timestamp_pb2.DESCRIPTOR.serialized_pb), _FILE)
}
POOL = descriptor_pool.DescriptorPool()
for _name in sorted(_FILES, key=lambda name: name.startswith("shop")):
    POOL.AddSerializedFile(_FILES[_name])
_digest = hashlib.sha256(
    b"".join(name.encode() + b"\0" + hashlib.sha256(_FILES[name]).digest() for name in sorted(_FILES))
)
FINGERPRINT = _digest.hexdigest()[:32]
SCHEMA = schema_pb2.Schema(
    fingerprint=FINGERPRINT, files=[_FILES["google/protobuf/timestamp.proto"], _FILES["shop/v1/shop.proto"]]
).SerializeToString()


SCHEMA_CHANGES = (
    SchemaPair(EpochKey("checkout-rewrite", "shop", "1.8.2", "2.0.0-rc2"), METHODS[0], "a" * 32, "b" * 32),
    SchemaChanges(
        (
            SchemaChange(
                ChangeKind.FIELD_ADDED, "response.coupon", "shop.v1.Order.coupon", "", "string coupon = 9", False
            ),
            SchemaChange(
                ChangeKind.RETYPED,
                "response.items[*].quantity",
                "shop.v1.Item.quantity",
                "int32 quantity = 3",
                "sint32 quantity = 3",
                True,
            ),
        ),
        count=1200,
        complete=False,
    ),
)


def message(name: str):
    """A new message of the shop."""
    return message_factory.GetMessageClass(POOL.FindMessageTypeByName(f"shop.v1.{name}"))()


def path(*steps: str | int) -> FieldPath:
    """response.items[2].price from its steps; a name in quotes is a key."""
    return tuple(
        Index(s) if isinstance(s, int) else Key(s.strip('"')) if s.startswith('"') else Field(s) for s in steps
    )


@dataclass
class Request:
    """One mirrored request: the orders that the replicas answered, and how each shadow differed."""

    method: str
    orders: dict[Role, object]
    statuses: dict[Role, str]
    outcomes: dict[Role, Outcome]
    trailing: dict[Role, list[tuple[str, bytes]]]
    absent: frozenset[Role] = frozenset()


def outcome(*differences: Difference, ignored: tuple[Difference, ...] = ()) -> Outcome:
    verdict = Verdict.MISMATCHED if differences else Verdict.IGNORED if ignored else Verdict.MATCHED
    return Outcome(verdict, differences=differences, ignored=ignored, difference_count=len(differences))


def order(number: int, rng: random.Random, items: int = 3):
    made = message("Order")
    made.id = f"o-{number:06d}"
    made.status = 1
    made.total = round(19.9 * items, 2)
    for i in range(items):
        made.items.add(sku=f"sku-{i:03d}", price=19.9, quantity=1)
    made.created.FromNanoseconds(int(NOW_S) * 10**9 + number * 10**6)
    made.tags.extend(["gift", "eu", "priority"])
    made.labels["warehouse"] = "lyon"
    made.labels["channel"] = "web"
    made.request_id = f"{rng.getrandbits(64):016x}"
    return made


def request(number: int, rng: random.Random) -> Request:  # noqa: C901 - a list of faults
    """One request; what goes wrong with it follows from its number."""
    method = METHODS[number % 3]
    base = order(number, rng, items=24 if number % 5 == 0 else 3)
    orders = {}
    for role in ROLES:
        orders[role] = message("Order")
        orders[role].CopyFrom(base)
        if method == METHODS[0] and role is not Role.PRIMARY:
            orders[role].request_id = f"{rng.getrandbits(64):016x}"
    request_id = [
        Difference(path("response", "request_id"), Kind.VALUE, base.request_id, orders[role].request_id)
        for role in ROLES
    ]
    random_id = method == METHODS[0]
    differences: dict[Role, list[Difference]] = {
        Role.CANDIDATE: request_id[1:2] if random_id else [],
        Role.SECONDARY: request_id[2:] if random_id else [],
    }
    ignored: dict[Role, list[Difference]] = {Role.CANDIDATE: [], Role.SECONDARY: []}
    statuses = dict.fromkeys(ROLES, "OK")
    trailing = {role: [("x-cost", b"12"), ("x-region", b"eu-west-3")] for role in ROLES}
    candidate = orders[Role.CANDIDATE]
    if number % 25 == 0:
        candidate.items[2].price = 20.0
        differences[Role.CANDIDATE].append(Difference(path("response", "items", 2, "price"), Kind.VALUE, 19.9, 20.0))
    if method == METHODS[0] and number % 4 == 0:
        del candidate.labels["warehouse"]
        place = path("response", "labels", '"warehouse"')
        differences[Role.CANDIDATE].append(Difference(place, Kind.MISSING, "lyon", None))
    if number % 8 == 0:
        candidate.total += 0.004
        place = path("response", "total")
        ignored[Role.CANDIDATE].append(
            Difference(place, Kind.VALUE, base.total, candidate.total, rule="tolerance response.total")
        )
    if method == METHODS[2] and number % 90 == 5:
        statuses[Role.CANDIDATE] = "INTERNAL"
        del trailing[Role.CANDIDATE][0]
        differences[Role.CANDIDATE] += [
            Difference(path("status", "code"), Kind.STATUS, "OK", "INTERNAL", note="the handler raised KeyError"),
            Difference(path("trailing_metadata", '"x-cost"'), Kind.MISSING, "12", None),
        ]
    for role in (Role.CANDIDATE, Role.SECONDARY):
        if rng.random() < 0.12:
            orders[role].tags[:] = ["eu", "gift", "priority"]
            if method != METHODS[1]:  # there a rule says that order doesn't matter
                differences[role].append(
                    Difference(path("response", "tags"), Kind.ORDER, "gift, eu, priority", "eu, gift, priority")
                )
    absent = (
        frozenset({Role.CANDIDATE})
        if number % 301 == 7
        else frozenset({Role.SECONDARY})
        if number % 400 == 9
        else frozenset()
    )
    outcomes = {role: outcome(*differences[role], ignored=tuple(ignored[role])) for role in differences}
    if number % 97 == 3:
        outcomes = dict.fromkeys(outcomes, Outcome(Verdict.INCOMPARABLE, "client_ended"))
    return Request(method, orders, statuses, outcomes, trailing, absent)


def capture(asked: Request, role: Role, number: int) -> bytes:
    made = capture_pb2.Capture(
        method=asked.method,
        kind=capture_pb2.CALL_KIND_UNARY,
        request_type="shop.v1.GetOrderRequest",
        response_type="shop.v1.Order",
        schema_fingerprint=FINGERPRINT,
        status_code=0 if asked.statuses[role] == "OK" else 13,
        ending=capture_pb2.ENDING_RETURNED if asked.statuses[role] == "OK" else capture_pb2.ENDING_RAISED,
        exception_type="" if asked.statuses[role] == "OK" else "KeyError",
        start_unix_ns=int(NOW_S * 1e9),
        duration_ns=4_300_000 if role is not Role.CANDIDATE else 2_750_000,
        attempt=1,
        request_count=1,
        response_count=1,
        trailing_metadata=[capture_pb2.MetadataEntry(key=key, value=value) for key, value in asked.trailing[role]],
    )
    wanted = message("GetOrderRequest")
    wanted.id = f"o-{number:06d}"
    made.messages.add(direction=capture_pb2.DIRECTION_REQUEST, body=wanted.SerializeToString())
    if asked.statuses[role] == "OK":
        body = asked.orders[role].SerializeToString(deterministic=True)
        made.messages.add(direction=capture_pb2.DIRECTION_RESPONSE, body=body, offset_ns=4_000_000)
    else:
        made.status_message = "unhandled KeyError"
    return made.SerializeToString()


def record(asked: Request, role: Role, number: int, at_s: float, *, run: str, version: str) -> CallRecord:
    version = version if role is Role.CANDIDATE else "1.8.2"
    return CallRecord(
        key=PairKey(run, asked.method, f"m-{number:08x}"),
        role=role,
        expect=frozenset({Role.CANDIDATE, Role.SECONDARY}),
        attempt=1,
        status=asked.statuses[role],
        resource=Resource("shop", version, f"shop-{role}-{number % 2}"),
        trace_id=hashlib.sha256(f"{run}{number}".encode()).digest()[:16],
        span_id=hashlib.sha256(f"{run}{role}{number}".encode()).digest()[:8],
        capture=capture(asked, role, number),
        arrived_s=at_s,
    )


def judged(number: int, at_s: float, *, run: str, version: str, asked: Request) -> Judged:
    """Judge one request as the pipeline would."""
    calls = {
        role: record(asked, role, number, at_s, run=run, version=version) for role in ROLES if role not in asked.absent
    }
    primary = calls[Role.PRIMARY]
    release = Release.DEADLINE if asked.absent else Release.COMPLETE
    group = Group(primary.key, calls, primary.expect, release, at_s)
    return judge_group(
        group,
        lambda _primary, shadow: asked.outcomes[shadow.role],
        explained=lambda method: frozenset(),
        candidate_version_last_seen=version,
        now_s=at_s + 1,
    )


def add(changes: Changes, store: Store, number: int, at_s: float, *, run: str, version: str, asked: Request) -> None:
    """Judge one request, and add it."""
    one = judged(number, at_s, run=run, version=version, asked=asked)
    kept = comparison_of(one).SerializeToString() if changes.wants(one) else None
    asked_for = lambda _schema, name: message(name.rpartition(".")[2]).__class__  # noqa: E731
    fields = request_fields(one.group.calls[Role.PRIMARY].capture, asked_for) if changes.sets.wants(one) else None
    changes.add(one, kept, fields)


def fill(url: str, *, requests: int = 6_000, minutes: int = 40, seed: int = 7) -> None:
    """Make the store at `url` and fill it: run "checkout-rewrite" in two epochs."""
    rng = random.Random(seed)
    with Store.open(url, judge=JudgeOptions()) as store:
        start_s = NOW_S - minutes * 60 - 120
        _earlier_epoch(store, rng, start_s - 7_200, requests=400, minutes=4)
        for minute in range(minutes):
            changes = store.changes()
            for i in range(requests // minutes):
                number = minute * (requests // minutes) + i
                at_s = start_s + minute * 60 + i * 60 / (requests // minutes)
                add(
                    changes,
                    store,
                    number,
                    at_s,
                    run="checkout-rewrite",
                    version="2.0.0-rc2",
                    asked=request(number, rng),
                )
            if not minute:
                changes.schema_change(*SCHEMA_CHANGES)
            store.commit(changes, start_s + minute * 60 + 60)
        changes = store.changes()
        changes.schema(FINGERPRINT, SCHEMA)
        changes.unknown_run("chekout-rewrite", 14)
        changes.count("late", 3)
        changes.source(
            schema_pb2.SourceReport(source_id="a", sequence=4, captured=12_000, dropped={"queue_full": 12}),
            Resource("shop", "1.8.2", "shop-primary-0"),
        )
        changes.source(
            schema_pb2.SourceReport(source_id="b", sequence=4, captured=11_980, conditions={"role_conflict": 1}),
            Resource("shop", "2.0.0-rc2", "shop-candidate-0"),
        )
        changes.rules(
            [RuleStatus("tolerance response.total", "checkout-rewrite", method, "valid") for method in METHODS]
        )
        store.commit(changes, NOW_S)


def _earlier_epoch(store: Store, rng: random.Random, start_s: float, *, requests: int, minutes: int) -> None:
    run, version = "checkout-rewrite", "2.0.0-rc1"
    changes = store.changes()
    for number in range(requests):
        at_s = start_s + number * minutes * 60 / requests
        add(changes, store, 10_000_000 + number, at_s, run=run, version=version, asked=request(number, rng))
    store.commit(changes, start_s + minutes * 60)


def store_url(folder: Path) -> str:
    """The URL of a store file in `folder`."""
    return f"sqlite:///{folder / 'mirror.db'}"
