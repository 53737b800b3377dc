from google.protobuf import any_pb2 as _any_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf import wrappers_pb2 as _wrappers_pb2
from shop.v1 import legacy_pb2 as _legacy_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Availability(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AVAILABILITY_UNSPECIFIED: _ClassVar[Availability]
    AVAILABILITY_IN_STOCK: _ClassVar[Availability]
    AVAILABILITY_PREORDER: _ClassVar[Availability]
    AVAILABILITY_DISCONTINUED: _ClassVar[Availability]

class RefundState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REFUND_STATE_UNSPECIFIED: _ClassVar[RefundState]
    REFUND_STATE_DONE: _ClassVar[RefundState]
    REFUND_STATE_PENDING: _ClassVar[RefundState]
AVAILABILITY_UNSPECIFIED: Availability
AVAILABILITY_IN_STOCK: Availability
AVAILABILITY_PREORDER: Availability
AVAILABILITY_DISCONTINUED: Availability
REFUND_STATE_UNSPECIFIED: RefundState
REFUND_STATE_DONE: RefundState
REFUND_STATE_PENDING: RefundState

class Money(_message.Message):
    __slots__ = ("currency", "cents")
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    CENTS_FIELD_NUMBER: _ClassVar[int]
    currency: str
    cents: int
    def __init__(self, currency: _Optional[str] = ..., cents: _Optional[int] = ...) -> None: ...

class GetProductRequest(_message.Message):
    __slots__ = ("number",)
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    number: int
    def __init__(self, number: _Optional[int] = ...) -> None: ...

class Dimensions(_message.Message):
    __slots__ = ("length_cm", "width_cm", "height_cm")
    LENGTH_CM_FIELD_NUMBER: _ClassVar[int]
    WIDTH_CM_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_CM_FIELD_NUMBER: _ClassVar[int]
    length_cm: float
    width_cm: float
    height_cm: float
    def __init__(self, length_cm: _Optional[float] = ..., width_cm: _Optional[float] = ..., height_cm: _Optional[float] = ...) -> None: ...

class Product(_message.Message):
    __slots__ = ("number", "name", "price", "availability", "dimensions", "tags", "brand", "warranty", "loyalty_points", "priced_at", "offer_id")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    AVAILABILITY_FIELD_NUMBER: _ClassVar[int]
    DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    BRAND_FIELD_NUMBER: _ClassVar[int]
    WARRANTY_FIELD_NUMBER: _ClassVar[int]
    LOYALTY_POINTS_FIELD_NUMBER: _ClassVar[int]
    PRICED_AT_FIELD_NUMBER: _ClassVar[int]
    OFFER_ID_FIELD_NUMBER: _ClassVar[int]
    number: int
    name: str
    price: Money
    availability: Availability
    dimensions: Dimensions
    tags: _containers.RepeatedScalarFieldContainer[str]
    brand: _wrappers_pb2.StringValue
    warranty: _legacy_pb2.Warranty
    loyalty_points: int
    priced_at: _timestamp_pb2.Timestamp
    offer_id: str
    def __init__(self, number: _Optional[int] = ..., name: _Optional[str] = ..., price: _Optional[_Union[Money, _Mapping]] = ..., availability: _Optional[_Union[Availability, str]] = ..., dimensions: _Optional[_Union[Dimensions, _Mapping]] = ..., tags: _Optional[_Iterable[str]] = ..., brand: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., warranty: _Optional[_Union[_legacy_pb2.Warranty, _Mapping]] = ..., loyalty_points: _Optional[int] = ..., priced_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., offer_id: _Optional[str] = ...) -> None: ...

class CartItem(_message.Message):
    __slots__ = ("product", "quantity")
    PRODUCT_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    product: int
    quantity: int
    def __init__(self, product: _Optional[int] = ..., quantity: _Optional[int] = ...) -> None: ...

class Cart(_message.Message):
    __slots__ = ("customer", "items")
    CUSTOMER_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    customer: str
    items: _containers.RepeatedCompositeFieldContainer[CartItem]
    def __init__(self, customer: _Optional[str] = ..., items: _Optional[_Iterable[_Union[CartItem, _Mapping]]] = ...) -> None: ...

class QuotedLine(_message.Message):
    __slots__ = ("product", "price", "discount")
    PRODUCT_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    DISCOUNT_FIELD_NUMBER: _ClassVar[int]
    product: int
    price: Money
    discount: Money
    def __init__(self, product: _Optional[int] = ..., price: _Optional[_Union[Money, _Mapping]] = ..., discount: _Optional[_Union[Money, _Mapping]] = ...) -> None: ...

class Quotation(_message.Message):
    __slots__ = ("lines", "total", "tax", "valid_for")
    LINES_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    TAX_FIELD_NUMBER: _ClassVar[int]
    VALID_FOR_FIELD_NUMBER: _ClassVar[int]
    lines: _containers.RepeatedCompositeFieldContainer[QuotedLine]
    total: float
    tax: float
    valid_for: _duration_pb2.Duration
    def __init__(self, lines: _Optional[_Iterable[_Union[QuotedLine, _Mapping]]] = ..., total: _Optional[float] = ..., tax: _Optional[float] = ..., valid_for: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class PlaceOrderRequest(_message.Message):
    __slots__ = ("reference", "cart", "express")
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    CART_FIELD_NUMBER: _ClassVar[int]
    EXPRESS_FIELD_NUMBER: _ClassVar[int]
    reference: str
    cart: Cart
    express: bool
    def __init__(self, reference: _Optional[str] = ..., cart: _Optional[_Union[Cart, _Mapping]] = ..., express: bool = ...) -> None: ...

class Courier(_message.Message):
    __slots__ = ("company", "days")
    COMPANY_FIELD_NUMBER: _ClassVar[int]
    DAYS_FIELD_NUMBER: _ClassVar[int]
    company: str
    days: int
    def __init__(self, company: _Optional[str] = ..., days: _Optional[int] = ...) -> None: ...

class Pickup(_message.Message):
    __slots__ = ("station",)
    STATION_FIELD_NUMBER: _ClassVar[int]
    station: str
    def __init__(self, station: _Optional[str] = ...) -> None: ...

class Order(_message.Message):
    __slots__ = ("reference", "receipt", "tracking_id", "placed_at", "courier", "pickup")
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    TRACKING_ID_FIELD_NUMBER: _ClassVar[int]
    PLACED_AT_FIELD_NUMBER: _ClassVar[int]
    COURIER_FIELD_NUMBER: _ClassVar[int]
    PICKUP_FIELD_NUMBER: _ClassVar[int]
    reference: str
    receipt: str
    tracking_id: str
    placed_at: _timestamp_pb2.Timestamp
    courier: Courier
    pickup: Pickup
    def __init__(self, reference: _Optional[str] = ..., receipt: _Optional[str] = ..., tracking_id: _Optional[str] = ..., placed_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., courier: _Optional[_Union[Courier, _Mapping]] = ..., pickup: _Optional[_Union[Pickup, _Mapping]] = ...) -> None: ...

class RefundOrderRequest(_message.Message):
    __slots__ = ("number",)
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    number: int
    def __init__(self, number: _Optional[int] = ...) -> None: ...

class Refund(_message.Message):
    __slots__ = ("number", "cents", "state")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    CENTS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    number: int
    cents: int
    state: RefundState
    def __init__(self, number: _Optional[int] = ..., cents: _Optional[int] = ..., state: _Optional[_Union[RefundState, str]] = ...) -> None: ...

class GetOrderRequest(_message.Message):
    __slots__ = ("number",)
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    number: int
    def __init__(self, number: _Optional[int] = ...) -> None: ...

class GiftWrap(_message.Message):
    __slots__ = ("colour",)
    COLOUR_FIELD_NUMBER: _ClassVar[int]
    colour: str
    def __init__(self, colour: _Optional[str] = ...) -> None: ...

class Engraving(_message.Message):
    __slots__ = ("text",)
    TEXT_FIELD_NUMBER: _ClassVar[int]
    text: str
    def __init__(self, text: _Optional[str] = ...) -> None: ...

class OrderSummary(_message.Message):
    __slots__ = ("number", "cents_by_category", "extra")
    class CentsByCategoryEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    CENTS_BY_CATEGORY_FIELD_NUMBER: _ClassVar[int]
    EXTRA_FIELD_NUMBER: _ClassVar[int]
    number: int
    cents_by_category: _containers.ScalarMap[str, int]
    extra: _any_pb2.Any
    def __init__(self, number: _Optional[int] = ..., cents_by_category: _Optional[_Mapping[str, int]] = ..., extra: _Optional[_Union[_any_pb2.Any, _Mapping]] = ...) -> None: ...

class GetCustomerRequest(_message.Message):
    __slots__ = ("number",)
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    number: int
    def __init__(self, number: _Optional[int] = ...) -> None: ...

class Customer(_message.Message):
    __slots__ = ("number", "name", "nickname", "newsletter", "age", "segment")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    NICKNAME_FIELD_NUMBER: _ClassVar[int]
    NEWSLETTER_FIELD_NUMBER: _ClassVar[int]
    AGE_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_FIELD_NUMBER: _ClassVar[int]
    number: int
    name: str
    nickname: _wrappers_pb2.StringValue
    newsletter: _wrappers_pb2.BoolValue
    age: int
    segment: str
    def __init__(self, number: _Optional[int] = ..., name: _Optional[str] = ..., nickname: _Optional[_Union[_wrappers_pb2.StringValue, _Mapping]] = ..., newsletter: _Optional[_Union[_wrappers_pb2.BoolValue, _Mapping]] = ..., age: _Optional[int] = ..., segment: _Optional[str] = ...) -> None: ...

class CheckStockRequest(_message.Message):
    __slots__ = ("product",)
    PRODUCT_FIELD_NUMBER: _ClassVar[int]
    product: int
    def __init__(self, product: _Optional[int] = ...) -> None: ...

class Stock(_message.Message):
    __slots__ = ("product", "pieces", "shelf", "request_id")
    PRODUCT_FIELD_NUMBER: _ClassVar[int]
    PIECES_FIELD_NUMBER: _ClassVar[int]
    SHELF_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    product: int
    pieces: int
    shelf: str
    request_id: str
    def __init__(self, product: _Optional[int] = ..., pieces: _Optional[int] = ..., shelf: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class GetOpeningHoursRequest(_message.Message):
    __slots__ = ("city",)
    CITY_FIELD_NUMBER: _ClassVar[int]
    city: str
    def __init__(self, city: _Optional[str] = ...) -> None: ...

class OpeningHours(_message.Message):
    __slots__ = ("city", "opens", "closes", "counters")
    CITY_FIELD_NUMBER: _ClassVar[int]
    OPENS_FIELD_NUMBER: _ClassVar[int]
    CLOSES_FIELD_NUMBER: _ClassVar[int]
    COUNTERS_FIELD_NUMBER: _ClassVar[int]
    city: str
    opens: _duration_pb2.Duration
    closes: _duration_pb2.Duration
    counters: _wrappers_pb2.Int32Value
    def __init__(self, city: _Optional[str] = ..., opens: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., closes: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., counters: _Optional[_Union[_wrappers_pb2.Int32Value, _Mapping]] = ...) -> None: ...

class ListProductsRequest(_message.Message):
    __slots__ = ("category", "limit")
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    category: str
    limit: int
    def __init__(self, category: _Optional[str] = ..., limit: _Optional[int] = ...) -> None: ...

class CatalogEntry(_message.Message):
    __slots__ = ("number", "name")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    number: int
    name: str
    def __init__(self, number: _Optional[int] = ..., name: _Optional[str] = ...) -> None: ...

class TrackParcelRequest(_message.Message):
    __slots__ = ("parcel",)
    PARCEL_FIELD_NUMBER: _ClassVar[int]
    parcel: int
    def __init__(self, parcel: _Optional[int] = ...) -> None: ...

class ParcelEvent(_message.Message):
    __slots__ = ("where", "after")
    WHERE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    where: str
    after: _duration_pb2.Duration
    def __init__(self, where: _Optional[str] = ..., after: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Review(_message.Message):
    __slots__ = ("product", "stars", "text")
    PRODUCT_FIELD_NUMBER: _ClassVar[int]
    STARS_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    product: int
    stars: int
    text: str
    def __init__(self, product: _Optional[int] = ..., stars: _Optional[int] = ..., text: _Optional[str] = ...) -> None: ...

class ImportReport(_message.Message):
    __slots__ = ("accepted", "by_stars")
    class ByStarsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: int
        def __init__(self, key: _Optional[int] = ..., value: _Optional[int] = ...) -> None: ...
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    BY_STARS_FIELD_NUMBER: _ClassVar[int]
    accepted: int
    by_stars: _containers.ScalarMap[int, int]
    def __init__(self, accepted: _Optional[int] = ..., by_stars: _Optional[_Mapping[int, int]] = ...) -> None: ...

class Question(_message.Message):
    __slots__ = ("text",)
    TEXT_FIELD_NUMBER: _ClassVar[int]
    text: str
    def __init__(self, text: _Optional[str] = ...) -> None: ...

class Answer(_message.Message):
    __slots__ = ("text", "proof")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    text: str
    proof: bytes
    def __init__(self, text: _Optional[str] = ..., proof: _Optional[bytes] = ...) -> None: ...
