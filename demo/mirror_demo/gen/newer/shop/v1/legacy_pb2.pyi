from google.protobuf.internal import containers as _containers
from google.protobuf.internal import python_message as _python_message
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor
INSURER_FIELD_NUMBER: _ClassVar[int]
insurer: _descriptor.FieldDescriptor

class Warranty(_message.Message):
    __slots__ = ("terms", "months", "covers")
    Extensions: _python_message._ExtensionDict
    TERMS_FIELD_NUMBER: _ClassVar[int]
    MONTHS_FIELD_NUMBER: _ClassVar[int]
    COVERS_FIELD_NUMBER: _ClassVar[int]
    terms: str
    months: int
    covers: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, terms: _Optional[str] = ..., months: _Optional[int] = ..., covers: _Optional[_Iterable[str]] = ...) -> None: ...
