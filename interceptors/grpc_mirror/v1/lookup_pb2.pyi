from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LookupResult(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LOOKUP_RESULT_UNSPECIFIED: _ClassVar[LookupResult]
    LOOKUP_RESULT_FOUND: _ClassVar[LookupResult]
    LOOKUP_RESULT_NOT_FOUND: _ClassVar[LookupResult]
    LOOKUP_RESULT_PRIVATE: _ClassVar[LookupResult]
    LOOKUP_RESULT_LEFT_OUT: _ClassVar[LookupResult]
    LOOKUP_RESULT_AMBIGUOUS: _ClassVar[LookupResult]
    LOOKUP_RESULT_BUSY: _ClassVar[LookupResult]
LOOKUP_RESULT_UNSPECIFIED: LookupResult
LOOKUP_RESULT_FOUND: LookupResult
LOOKUP_RESULT_NOT_FOUND: LookupResult
LOOKUP_RESULT_PRIVATE: LookupResult
LOOKUP_RESULT_LEFT_OUT: LookupResult
LOOKUP_RESULT_AMBIGUOUS: LookupResult
LOOKUP_RESULT_BUSY: LookupResult

class LookupRequest(_message.Message):
    __slots__ = ("run", "mirror_id", "served_method", "method", "request_hash", "ordinal", "wait_ms")
    RUN_FIELD_NUMBER: _ClassVar[int]
    MIRROR_ID_FIELD_NUMBER: _ClassVar[int]
    SERVED_METHOD_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    REQUEST_HASH_FIELD_NUMBER: _ClassVar[int]
    ORDINAL_FIELD_NUMBER: _ClassVar[int]
    WAIT_MS_FIELD_NUMBER: _ClassVar[int]
    run: str
    mirror_id: str
    served_method: str
    method: str
    request_hash: bytes
    ordinal: int
    wait_ms: int
    def __init__(self, run: _Optional[str] = ..., mirror_id: _Optional[str] = ..., served_method: _Optional[str] = ..., method: _Optional[str] = ..., request_hash: _Optional[bytes] = ..., ordinal: _Optional[int] = ..., wait_ms: _Optional[int] = ...) -> None: ...

class LookupResponse(_message.Message):
    __slots__ = ("result", "answer")
    RESULT_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    result: LookupResult
    answer: bytes
    def __init__(self, result: _Optional[_Union[LookupResult, str]] = ..., answer: _Optional[bytes] = ...) -> None: ...
