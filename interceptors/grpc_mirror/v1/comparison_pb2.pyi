from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Verdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERDICT_UNSPECIFIED: _ClassVar[Verdict]
    VERDICT_MATCHED: _ClassVar[Verdict]
    VERDICT_MISMATCHED: _ClassVar[Verdict]
    VERDICT_IGNORED: _ClassVar[Verdict]
    VERDICT_INCOMPLETE: _ClassVar[Verdict]
    VERDICT_INCOMPARABLE: _ClassVar[Verdict]
VERDICT_UNSPECIFIED: Verdict
VERDICT_MATCHED: Verdict
VERDICT_MISMATCHED: Verdict
VERDICT_IGNORED: Verdict
VERDICT_INCOMPLETE: Verdict
VERDICT_INCOMPARABLE: Verdict

class Difference(_message.Message):
    __slots__ = ("path", "pattern", "kind", "left", "right", "rule", "note")
    PATH_FIELD_NUMBER: _ClassVar[int]
    PATTERN_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    LEFT_FIELD_NUMBER: _ClassVar[int]
    RIGHT_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    path: str
    pattern: str
    kind: str
    left: str
    right: str
    rule: str
    note: str
    def __init__(self, path: _Optional[str] = ..., pattern: _Optional[str] = ..., kind: _Optional[str] = ..., left: _Optional[str] = ..., right: _Optional[str] = ..., rule: _Optional[str] = ..., note: _Optional[str] = ...) -> None: ...

class Side(_message.Message):
    __slots__ = ("role", "verdict", "reason", "differences", "difference_count", "capture", "version", "instance", "span_id", "unjudged", "unseen", "outbound", "outbound_count")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCES_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCE_COUNT_FIELD_NUMBER: _ClassVar[int]
    CAPTURE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    SPAN_ID_FIELD_NUMBER: _ClassVar[int]
    UNJUDGED_FIELD_NUMBER: _ClassVar[int]
    UNSEEN_FIELD_NUMBER: _ClassVar[int]
    OUTBOUND_FIELD_NUMBER: _ClassVar[int]
    OUTBOUND_COUNT_FIELD_NUMBER: _ClassVar[int]
    role: str
    verdict: Verdict
    reason: str
    differences: _containers.RepeatedCompositeFieldContainer[Difference]
    difference_count: int
    capture: bytes
    version: str
    instance: str
    span_id: bytes
    unjudged: _containers.RepeatedCompositeFieldContainer[Difference]
    unseen: _containers.RepeatedScalarFieldContainer[str]
    outbound: _containers.RepeatedScalarFieldContainer[bytes]
    outbound_count: int
    def __init__(self, role: _Optional[str] = ..., verdict: _Optional[_Union[Verdict, str]] = ..., reason: _Optional[str] = ..., differences: _Optional[_Iterable[_Union[Difference, _Mapping]]] = ..., difference_count: _Optional[int] = ..., capture: _Optional[bytes] = ..., version: _Optional[str] = ..., instance: _Optional[str] = ..., span_id: _Optional[bytes] = ..., unjudged: _Optional[_Iterable[_Union[Difference, _Mapping]]] = ..., unseen: _Optional[_Iterable[str]] = ..., outbound: _Optional[_Iterable[bytes]] = ..., outbound_count: _Optional[int] = ...) -> None: ...

class Comparison(_message.Message):
    __slots__ = ("id", "run", "service", "method", "mirror_id", "trace_id", "compared_at_s", "primary_version", "primary_instance", "primary_span_id", "primary_capture", "sides", "primary_outbound", "primary_outbound_count")
    ID_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    MIRROR_ID_FIELD_NUMBER: _ClassVar[int]
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    COMPARED_AT_S_FIELD_NUMBER: _ClassVar[int]
    PRIMARY_VERSION_FIELD_NUMBER: _ClassVar[int]
    PRIMARY_INSTANCE_FIELD_NUMBER: _ClassVar[int]
    PRIMARY_SPAN_ID_FIELD_NUMBER: _ClassVar[int]
    PRIMARY_CAPTURE_FIELD_NUMBER: _ClassVar[int]
    SIDES_FIELD_NUMBER: _ClassVar[int]
    PRIMARY_OUTBOUND_FIELD_NUMBER: _ClassVar[int]
    PRIMARY_OUTBOUND_COUNT_FIELD_NUMBER: _ClassVar[int]
    id: str
    run: str
    service: str
    method: str
    mirror_id: str
    trace_id: bytes
    compared_at_s: float
    primary_version: str
    primary_instance: str
    primary_span_id: bytes
    primary_capture: bytes
    sides: _containers.RepeatedCompositeFieldContainer[Side]
    primary_outbound: _containers.RepeatedScalarFieldContainer[bytes]
    primary_outbound_count: int
    def __init__(self, id: _Optional[str] = ..., run: _Optional[str] = ..., service: _Optional[str] = ..., method: _Optional[str] = ..., mirror_id: _Optional[str] = ..., trace_id: _Optional[bytes] = ..., compared_at_s: _Optional[float] = ..., primary_version: _Optional[str] = ..., primary_instance: _Optional[str] = ..., primary_span_id: _Optional[bytes] = ..., primary_capture: _Optional[bytes] = ..., sides: _Optional[_Iterable[_Union[Side, _Mapping]]] = ..., primary_outbound: _Optional[_Iterable[bytes]] = ..., primary_outbound_count: _Optional[int] = ...) -> None: ...
