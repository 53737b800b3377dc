from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CallKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CALL_KIND_UNSPECIFIED: _ClassVar[CallKind]
    CALL_KIND_UNARY: _ClassVar[CallKind]
    CALL_KIND_CLIENT_STREAM: _ClassVar[CallKind]
    CALL_KIND_SERVER_STREAM: _ClassVar[CallKind]
    CALL_KIND_BIDI_STREAM: _ClassVar[CallKind]

class Direction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DIRECTION_UNSPECIFIED: _ClassVar[Direction]
    DIRECTION_REQUEST: _ClassVar[Direction]
    DIRECTION_RESPONSE: _ClassVar[Direction]

class Ending(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENDING_UNSPECIFIED: _ClassVar[Ending]
    ENDING_RETURNED: _ClassVar[Ending]
    ENDING_RAISED: _ClassVar[Ending]
    ENDING_CLIENT_CANCELLED: _ClassVar[Ending]
    ENDING_DEADLINE_EXCEEDED: _ClassVar[Ending]
    ENDING_MALFORMED_REQUEST: _ClassVar[Ending]

class Omission(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OMISSION_UNSPECIFIED: _ClassVar[Omission]
    OMISSION_MESSAGE_TOO_LARGE: _ClassVar[Omission]
    OMISSION_CAPTURE_FULL: _ClassVar[Omission]
    OMISSION_TOO_MANY_MESSAGES: _ClassVar[Omission]
    OMISSION_PRIVATE: _ClassVar[Omission]
    OMISSION_NOT_SERIALIZABLE: _ClassVar[Omission]
    OMISSION_REDACTION_FAILED: _ClassVar[Omission]
    OMISSION_NOT_SAMPLED: _ClassVar[Omission]

class OutboundPolicy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTBOUND_POLICY_UNSPECIFIED: _ClassVar[OutboundPolicy]
    OUTBOUND_POLICY_SENT: _ClassVar[OutboundPolicy]
    OUTBOUND_POLICY_BLOCKED: _ClassVar[OutboundPolicy]
    OUTBOUND_POLICY_STUBBED: _ClassVar[OutboundPolicy]
    OUTBOUND_POLICY_RECORDED: _ClassVar[OutboundPolicy]
CALL_KIND_UNSPECIFIED: CallKind
CALL_KIND_UNARY: CallKind
CALL_KIND_CLIENT_STREAM: CallKind
CALL_KIND_SERVER_STREAM: CallKind
CALL_KIND_BIDI_STREAM: CallKind
DIRECTION_UNSPECIFIED: Direction
DIRECTION_REQUEST: Direction
DIRECTION_RESPONSE: Direction
ENDING_UNSPECIFIED: Ending
ENDING_RETURNED: Ending
ENDING_RAISED: Ending
ENDING_CLIENT_CANCELLED: Ending
ENDING_DEADLINE_EXCEEDED: Ending
ENDING_MALFORMED_REQUEST: Ending
OMISSION_UNSPECIFIED: Omission
OMISSION_MESSAGE_TOO_LARGE: Omission
OMISSION_CAPTURE_FULL: Omission
OMISSION_TOO_MANY_MESSAGES: Omission
OMISSION_PRIVATE: Omission
OMISSION_NOT_SERIALIZABLE: Omission
OMISSION_REDACTION_FAILED: Omission
OMISSION_NOT_SAMPLED: Omission
OUTBOUND_POLICY_UNSPECIFIED: OutboundPolicy
OUTBOUND_POLICY_SENT: OutboundPolicy
OUTBOUND_POLICY_BLOCKED: OutboundPolicy
OUTBOUND_POLICY_STUBBED: OutboundPolicy
OUTBOUND_POLICY_RECORDED: OutboundPolicy

class PrivateLeaf(_message.Message):
    __slots__ = ("path", "hmac", "key_id", "empty")
    PATH_FIELD_NUMBER: _ClassVar[int]
    HMAC_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    EMPTY_FIELD_NUMBER: _ClassVar[int]
    path: str
    hmac: bytes
    key_id: str
    empty: bool
    def __init__(self, path: _Optional[str] = ..., hmac: _Optional[bytes] = ..., key_id: _Optional[str] = ..., empty: bool = ...) -> None: ...

class CapturedMessage(_message.Message):
    __slots__ = ("direction", "body", "offset_ns", "original_size", "omission", "hash", "key_id", "private_leaves")
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    OFFSET_NS_FIELD_NUMBER: _ClassVar[int]
    ORIGINAL_SIZE_FIELD_NUMBER: _ClassVar[int]
    OMISSION_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    PRIVATE_LEAVES_FIELD_NUMBER: _ClassVar[int]
    direction: Direction
    body: bytes
    offset_ns: int
    original_size: int
    omission: Omission
    hash: bytes
    key_id: str
    private_leaves: _containers.RepeatedCompositeFieldContainer[PrivateLeaf]
    def __init__(self, direction: _Optional[_Union[Direction, str]] = ..., body: _Optional[bytes] = ..., offset_ns: _Optional[int] = ..., original_size: _Optional[int] = ..., omission: _Optional[_Union[Omission, str]] = ..., hash: _Optional[bytes] = ..., key_id: _Optional[str] = ..., private_leaves: _Optional[_Iterable[_Union[PrivateLeaf, _Mapping]]] = ...) -> None: ...

class MetadataEntry(_message.Message):
    __slots__ = ("key", "value")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    key: str
    value: bytes
    def __init__(self, key: _Optional[str] = ..., value: _Optional[bytes] = ...) -> None: ...

class Omitted(_message.Message):
    __slots__ = ("reason", "direction", "messages", "bytes", "kept_after")
    REASON_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    KEPT_AFTER_FIELD_NUMBER: _ClassVar[int]
    reason: Omission
    direction: Direction
    messages: int
    bytes: int
    kept_after: int
    def __init__(self, reason: _Optional[_Union[Omission, str]] = ..., direction: _Optional[_Union[Direction, str]] = ..., messages: _Optional[int] = ..., bytes: _Optional[int] = ..., kept_after: _Optional[int] = ...) -> None: ...

class Outbound(_message.Message):
    __slots__ = ("served_method", "policy", "index", "request_hash", "ordinal", "served_span_id", "after_end")
    SERVED_METHOD_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    REQUEST_HASH_FIELD_NUMBER: _ClassVar[int]
    ORDINAL_FIELD_NUMBER: _ClassVar[int]
    SERVED_SPAN_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_END_FIELD_NUMBER: _ClassVar[int]
    served_method: str
    policy: OutboundPolicy
    index: int
    request_hash: bytes
    ordinal: int
    served_span_id: bytes
    after_end: bool
    def __init__(self, served_method: _Optional[str] = ..., policy: _Optional[_Union[OutboundPolicy, str]] = ..., index: _Optional[int] = ..., request_hash: _Optional[bytes] = ..., ordinal: _Optional[int] = ..., served_span_id: _Optional[bytes] = ..., after_end: bool = ...) -> None: ...

class Capture(_message.Message):
    __slots__ = ("method", "kind", "request_type", "response_type", "schema_fingerprint", "messages", "request_metadata", "initial_metadata", "trailing_metadata", "initial_metadata_unobserved", "status_code", "status_message", "status_details", "ending", "deadline_ns", "attempt", "start_unix_ns", "duration_ns", "request_count", "response_count", "omitted", "exception_type", "metadata_truncated", "private_leaves", "outbound", "blocked_calls", "outbound_calls", "outbound_omitted", "not_sampled")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    REQUEST_TYPE_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_TYPE_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    REQUEST_METADATA_FIELD_NUMBER: _ClassVar[int]
    INITIAL_METADATA_FIELD_NUMBER: _ClassVar[int]
    TRAILING_METADATA_FIELD_NUMBER: _ClassVar[int]
    INITIAL_METADATA_UNOBSERVED_FIELD_NUMBER: _ClassVar[int]
    STATUS_CODE_FIELD_NUMBER: _ClassVar[int]
    STATUS_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    STATUS_DETAILS_FIELD_NUMBER: _ClassVar[int]
    ENDING_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_NS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    START_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    DURATION_NS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_COUNT_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_COUNT_FIELD_NUMBER: _ClassVar[int]
    OMITTED_FIELD_NUMBER: _ClassVar[int]
    EXCEPTION_TYPE_FIELD_NUMBER: _ClassVar[int]
    METADATA_TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    PRIVATE_LEAVES_FIELD_NUMBER: _ClassVar[int]
    OUTBOUND_FIELD_NUMBER: _ClassVar[int]
    BLOCKED_CALLS_FIELD_NUMBER: _ClassVar[int]
    OUTBOUND_CALLS_FIELD_NUMBER: _ClassVar[int]
    OUTBOUND_OMITTED_FIELD_NUMBER: _ClassVar[int]
    NOT_SAMPLED_FIELD_NUMBER: _ClassVar[int]
    method: str
    kind: CallKind
    request_type: str
    response_type: str
    schema_fingerprint: str
    messages: _containers.RepeatedCompositeFieldContainer[CapturedMessage]
    request_metadata: _containers.RepeatedCompositeFieldContainer[MetadataEntry]
    initial_metadata: _containers.RepeatedCompositeFieldContainer[MetadataEntry]
    trailing_metadata: _containers.RepeatedCompositeFieldContainer[MetadataEntry]
    initial_metadata_unobserved: bool
    status_code: int
    status_message: str
    status_details: bytes
    ending: Ending
    deadline_ns: int
    attempt: int
    start_unix_ns: int
    duration_ns: int
    request_count: int
    response_count: int
    omitted: _containers.RepeatedCompositeFieldContainer[Omitted]
    exception_type: str
    metadata_truncated: bool
    private_leaves: _containers.RepeatedCompositeFieldContainer[PrivateLeaf]
    outbound: Outbound
    blocked_calls: int
    outbound_calls: int
    outbound_omitted: int
    not_sampled: bool
    def __init__(self, method: _Optional[str] = ..., kind: _Optional[_Union[CallKind, str]] = ..., request_type: _Optional[str] = ..., response_type: _Optional[str] = ..., schema_fingerprint: _Optional[str] = ..., messages: _Optional[_Iterable[_Union[CapturedMessage, _Mapping]]] = ..., request_metadata: _Optional[_Iterable[_Union[MetadataEntry, _Mapping]]] = ..., initial_metadata: _Optional[_Iterable[_Union[MetadataEntry, _Mapping]]] = ..., trailing_metadata: _Optional[_Iterable[_Union[MetadataEntry, _Mapping]]] = ..., initial_metadata_unobserved: bool = ..., status_code: _Optional[int] = ..., status_message: _Optional[str] = ..., status_details: _Optional[bytes] = ..., ending: _Optional[_Union[Ending, str]] = ..., deadline_ns: _Optional[int] = ..., attempt: _Optional[int] = ..., start_unix_ns: _Optional[int] = ..., duration_ns: _Optional[int] = ..., request_count: _Optional[int] = ..., response_count: _Optional[int] = ..., omitted: _Optional[_Iterable[_Union[Omitted, _Mapping]]] = ..., exception_type: _Optional[str] = ..., metadata_truncated: bool = ..., private_leaves: _Optional[_Iterable[_Union[PrivateLeaf, _Mapping]]] = ..., outbound: _Optional[_Union[Outbound, _Mapping]] = ..., blocked_calls: _Optional[int] = ..., outbound_calls: _Optional[int] = ..., outbound_omitted: _Optional[int] = ..., not_sampled: bool = ...) -> None: ...
