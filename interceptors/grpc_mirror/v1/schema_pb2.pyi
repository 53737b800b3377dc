from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class Schema(_message.Message):
    __slots__ = ("fingerprint", "files")
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    fingerprint: str
    files: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, fingerprint: _Optional[str] = ..., files: _Optional[_Iterable[bytes]] = ...) -> None: ...

class SourceReport(_message.Message):
    __slots__ = ("source_id", "sequence", "captured", "dropped", "conditions")
    class DroppedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class ConditionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    SOURCE_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    CAPTURED_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    source_id: str
    sequence: int
    captured: int
    dropped: _containers.ScalarMap[str, int]
    conditions: _containers.ScalarMap[str, int]
    def __init__(self, source_id: _Optional[str] = ..., sequence: _Optional[int] = ..., captured: _Optional[int] = ..., dropped: _Optional[_Mapping[str, int]] = ..., conditions: _Optional[_Mapping[str, int]] = ...) -> None: ...
