from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class ChargeRequest(_message.Message):
    __slots__ = ("reference", "customer", "cents", "idempotency_key")
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_FIELD_NUMBER: _ClassVar[int]
    CENTS_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    reference: str
    customer: str
    cents: int
    idempotency_key: str
    def __init__(self, reference: _Optional[str] = ..., customer: _Optional[str] = ..., cents: _Optional[int] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class RefundRequest(_message.Message):
    __slots__ = ("order", "cents")
    ORDER_FIELD_NUMBER: _ClassVar[int]
    CENTS_FIELD_NUMBER: _ClassVar[int]
    order: int
    cents: int
    def __init__(self, order: _Optional[int] = ..., cents: _Optional[int] = ...) -> None: ...

class Receipt(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...
