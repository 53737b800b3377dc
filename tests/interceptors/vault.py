"""Messages with something private of every kind: descriptors made here, so that they need no protoc and load on any protobuf.

`Safe` (proto3) and `Old` (proto2). Private is every field whose name starts with `p_`, by turns by `debug_redact` and by our option,
whose .proto is not imported here: to this process it is an unknown field of the options.
"""

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory

# Names by FieldDescriptorProto.Type.
SCALARS = {
    1: "double",
    2: "float",
    3: "int64",
    4: "uint64",
    5: "int32",
    6: "fixed64",
    7: "fixed32",
    8: "bool",
    9: "string",
    12: "bytes",
    13: "uint32",
    15: "sfixed32",
    16: "sfixed64",
    17: "sint32",
    18: "sint64",
}
NUMBER = 424242  # planted in private numbers
PRIVATE_OPTION = b"\xd0\x92\x1c\x01"  # field 57642, varint 1
OPTIONAL, REPEATED, REQUIRED = 1, 3, 2


def add(message, number, name, kind, *, label=OPTIONAL, **more):
    """A field; `kind` is a number of a scalar or the name of a message (or, with type=14, of an enum)."""
    fields = message.extension if "extendee" in more else message.field
    field = fields.add(name=name, number=number, label=label)
    if isinstance(kind, str):
        field.type = more.pop("type", 11)
        field.type_name = kind
    else:
        field.type = kind
    mark(field)
    for key, value in more.items():
        setattr(field, key, value)
    return field


def mark(field):
    if field.name.startswith("p_") and field.number % 2:
        field.options.debug_redact = True
    elif field.name.startswith("p_"):
        field.options.MergeFromString(PRIVATE_OPTION)


def add_map(message, number, name, value, parent):
    entry = message.nested_type.add(name="".join(part.title() for part in name.split("_")) + "Entry")
    entry.options.map_entry = True
    add(entry, 1, "key", 9)
    add(entry, 2, "value", value)
    add(message, number, name, f".{parent}.{entry.name}", label=REPEATED)


def _proto3():
    file = descriptor_pb2.FileDescriptorProto(name="vault/safe.proto", package="vault", syntax="proto3")
    file.dependency.append("google/protobuf/any.proto")
    level = file.enum_type.add(name="Level")
    for number in (0, 1):
        level.value.add(name=f"LEVEL_{number}", number=number)
    plain = file.message_type.add(name="Plain")
    add(plain, 1, "text", 9)
    add(plain, 2, "number", 5)
    add_map(plain, 3, "labels", 9, "vault.Plain")
    flags = file.message_type.add(name="Flags")
    add(flags, 1, "on", 8)
    card = file.message_type.add(name="Card")
    add(card, 1, "p_number", 9)
    add(card, 2, "note", 9)
    safe = file.message_type.add(name="Safe")
    add(safe, 1, "text", 9)
    for kind, name in SCALARS.items():
        add(safe, 10 + kind, f"p_{name}", kind)
    add(safe, 40, "p_level", ".vault.Level", type=14)
    add(safe, 41, "p_plain", ".vault.Plain")
    add(safe, 42, "p_texts", 9, label=REPEATED)
    add(safe, 43, "p_flags", ".vault.Flags")
    add_map(safe, 44, "p_labels", 9, "vault.Safe")
    add(safe, 45, "p_any", ".google.protobuf.Any")
    add(safe, 46, "card", ".vault.Card")
    add(safe, 47, "cards", ".vault.Card", label=REPEATED)
    add_map(safe, 48, "cards_by_name", ".vault.Card", "vault.Safe")
    safe.oneof_decl.add(name="way")
    add(safe, 49, "p_way", 9, oneof_index=0)
    add(safe, 50, "open_way", 9, oneof_index=0)
    add(safe, 51, "payload", ".google.protobuf.Any")
    add(safe, 52, "child", ".vault.Safe")
    add(safe, 53, "plain", ".vault.Plain")
    safe.oneof_decl.add(name="_p_maybe")
    add(safe, 54, "p_maybe", 9, oneof_index=1, proto3_optional=True)
    safe.oneof_decl.add(name="_p_perhaps")
    add(safe, 55, "p_perhaps", 8, oneof_index=2, proto3_optional=True)
    return file


def _proto2():
    file = descriptor_pb2.FileDescriptorProto(name="vault/old.proto", package="vault", syntax="proto2")
    file.dependency.append("vault/safe.proto")
    old = file.message_type.add(name="Old")
    add(old, 1, "p_key", 9, label=REQUIRED)
    add(old, 2, "text", 9)
    group = old.nested_type.add(name="Group")
    add(group, 1, "p_inner", 9)
    add(group, 2, "text", 9)
    add(old, 3, "group", ".vault.Old.Group", type=10)
    add(old, 5, "child", ".vault.Old")
    old.extension_range.add(start=100, end=200)
    for number, name, kind in (
        (101, "p_extra", 9),
        (102, "card_extra", ".vault.Card"),
        (103, "old_extra", ".vault.Old"),
    ):
        add(file, number, name, kind, extendee=".vault.Old")
    return file


def _types():
    pool = descriptor_pool.Default()
    any_pb2.DESCRIPTOR  # noqa: B018 - any.proto must be in the pool
    for file in (_proto3(), _proto2()):
        pool.AddSerializedFile(file.SerializeToString())
    names = ("Safe", "Plain", "Flags", "Card", "Old")
    return [message_factory.GetMessageClass(pool.FindMessageTypeByName(f"vault.{name}")) for name in names]


def extension(name):
    return descriptor_pool.Default().FindExtensionByName(f"vault.{name}")


Safe, Plain, Flags, Card, Old = _types()
UNKNOWN_NUMBER = 190


def unknown(text):
    """An unknown field that holds a text."""
    raw = text.encode()
    return bytes((UNKNOWN_NUMBER << 3 & 0x7F | 2 | 0x80, UNKNOWN_NUMBER >> 4, len(raw))) + raw


def old(secret, public):
    """A proto2 message: group, extensions, an unknown field within one."""
    made = Old(p_key=secret, text=public)
    made.group.p_inner = secret
    made.group.text = public
    made.Extensions[extension("p_extra")] = secret
    made.Extensions[extension("card_extra")].p_number = secret
    made.Extensions[extension("card_extra")].MergeFromString(unknown(secret))
    made.child.p_key = secret
    return made


def safe(secret, public, *, depth=1):
    """A message with `secret` in every private place and `public` in every other. `secret` empty: only what is public."""
    made = Safe(text=public)
    made.plain.text = public
    made.open_way = public
    made.card.note = public
    made.cards.add(note=public)
    made.cards.add(note=public)
    made.cards_by_name["k"].note = public
    made.payload.Pack(Card(p_number=secret, note=public))
    if secret:
        _plant(made, secret)
    if depth:
        made.child.CopyFrom(safe(secret, public, depth=depth - 1))
    return made


def _plant(made, secret):
    for kind, name in SCALARS.items():
        field = f"p_{name}"
        value = {8: True, 9: secret, 12: secret.encode()}.get(kind, NUMBER)
        setattr(made, field, value)
    made.p_level = 1
    made.p_plain.text = secret
    made.p_plain.labels[secret] = secret
    made.p_texts.extend([secret, secret])
    made.p_flags.on = True
    made.p_labels[secret] = secret
    made.p_any.Pack(Plain(text=secret))
    made.card.p_number = secret
    for card in (*made.cards, made.cards_by_name["k"]):
        card.p_number = secret
    made.p_way = secret
    made.p_maybe = secret
    made.p_perhaps = True
    made.MergeFromString(unknown(secret))
    made.plain.MergeFromString(unknown(secret))
    made.cards_by_name["k"].MergeFromString(unknown(secret))
