# cython: language_level=3, boundscheck=True, wraparound=False, cdivision=True
"""Cuts an OTLP request into the calls of ours in it. The Python of it: `mirror.collect.slices`.

A span that is not plainly a captured call, as the interceptors write it, is handed back as it stands.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.string cimport memcmp, memcpy

from grpc_mirror_native.captures cimport Facts, plain
from grpc_mirror_native.wire cimport BYTES, Field, Reader, is_ascii, left, read_field, reader_of

cdef extern from "string.h":
    void *memmem(const void *haystack, size_t size, const void *needle, size_t length) nogil

cdef enum:
    TOLD_MAX = 2048  # bytes of the attributes that make a head
    SCHEMA_URL = 3
    TRACE_ID = 1
    SPAN_ID = 2
    ATTRIBUTES = 9
    VALUE = 2
    BYTES_VALUE = 7
    STRING_VALUE = 1
    TEXT_MAX = 120  # of an ID; longer ones go the long way

cdef const char *MARK = b"mirror."
cdef char NO_IDENTIFIER[16]
NO_IDENTIFIER[:] = [0] * 16


cdef struct Found:
    Reader trace_id, span_id, mirror_id, capture
    size_t told
    char head[TOLD_MAX]


cdef class Cutter:
    """Knows the attributes' names: of the ID, of the capture, and of all that make a head."""

    cdef bytes _id
    cdef bytes _capture
    cdef tuple _keys

    def __init__(self, str mirror_id not None, str capture not None, keys):
        self._id, self._capture = mirror_id.encode(), capture.encode()
        self._keys = tuple(sorted(key.encode() for key in keys if key not in (mirror_id, capture)))
        if max(map(len, (self._id, self._capture, *self._keys))) > 127:
            raise ValueError("a name is too long")

    def cut(self, bytes body not None):
        """Of a serialised ExportTraceServiceRequest, for each resource: its bytes and its spans; None: the long way must read it.

        A span is None (it is not ours), its bytes, or of a call: the attributes of its head as they
        stand there, the ID, the capture, trace and span ID, the capture's attempt, status code and count of outbound calls, and
        the place of its bytes.
        """
        cdef Reader request = reader_of(<const unsigned char *>body, len(body))
        cdef Field field
        cdef list found = []
        while left(&request):
            if not read_field(&request, &field):
                return None
            if field.number == 1:
                if field.kind != BYTES or not self._resource(<const unsigned char *>body, field.body, found):
                    return None
        return found

    cdef bint _resource(self, const unsigned char *body, Reader rest, list found) except -1:
        cdef Field field
        cdef Reader resource = reader_of(rest.at, 0)
        cdef list spans = []
        cdef bint named = False
        while left(&rest):
            if not read_field(&rest, &field):
                return False
            if field.number == 1:
                if field.kind != BYTES or named:
                    return False
                named, resource = True, field.body
            elif field.number == 2:
                if field.kind != BYTES or not self._scope(body, field.body, spans):
                    return False
            elif not _skipped(&field):
                return False
        found.append((_bytes(resource), spans))
        return True

    cdef bint _scope(self, const unsigned char *body, Reader rest, list spans) except -1:
        cdef Field field
        while left(&rest):
            if not read_field(&rest, &field):
                return False
            if field.number == 2:
                if field.kind != BYTES:
                    return False
                spans.append(self._span(body, field.body))
            elif not _skipped(&field):
                return False
        return True

    cdef object _span(self, const unsigned char *body, Reader span):
        cdef Found found
        cdef Facts facts
        cdef object mirror_id
        if memmem(span.at, left(&span), MARK, 7) == NULL:
            return None
        if (
            self._read(span, &found)
            and _identifies(&found.trace_id, 16)
            and _identifies(&found.span_id, 8)
            and found.mirror_id.at != NULL
            and found.capture.at != NULL
            and plain(found.capture, &facts)
        ):
            mirror_id = _text(&found.mirror_id)
            if mirror_id is not None:
                return (
                    PyBytes_FromStringAndSize(found.head, found.told),
                    mirror_id,
                    _bytes(found.capture),
                    _bytes(found.trace_id),
                    _bytes(found.span_id),
                    facts.attempt,
                    facts.status_code,
                    facts.outbound_calls,
                    span.at - body,
                    span.end - body,
                )
        return _bytes(span)

    cdef bint _read(self, Reader span, Found *found):
        """Whether a span's parts were found, each once."""
        cdef Field field
        cdef const unsigned char *began
        found.trace_id.at = found.span_id.at = found.mirror_id.at = found.capture.at = NULL
        found.told = 0
        while left(&span):
            began = span.at
            if not read_field(&span, &field):
                return False
            if field.number == ATTRIBUTES:
                if field.kind != BYTES or not self._attribute(began, &field.body, found):
                    return False
            elif field.number == TRACE_ID or field.number == SPAN_ID:
                if field.kind != BYTES or not _once(&found.trace_id if field.number == TRACE_ID else &found.span_id, &field.body):
                    return False
        return True

    cdef bint _attribute(self, const unsigned char *began, const Reader *raw, Found *found):
        cdef Reader key, value
        cdef size_t size
        if left(raw) < 2 or raw.at[0] != 0x0A:
            return left(raw) == 1 and raw.at[0] == 0x0A
        if raw.at[1] + 2 > left(raw):
            return True  # not one of ours: nobody reads it
        key = reader_of(raw.at + 2, raw.at[1])
        value.at, value.end = key.end, raw.end
        if _is(&key, self._id):
            return _unwrapped(value, STRING_VALUE, &found.mirror_id)
        if _is(&key, self._capture):
            return _unwrapped(value, BYTES_VALUE, &found.capture)
        for known in self._keys:
            if _is(&key, <bytes>known):
                size = raw.end - began
                if found.told + size > TOLD_MAX:
                    return False
                memcpy(found.head + found.told, began, size)
                found.told += size
                break
        return True


cdef inline bint _skipped(const Field *field) noexcept nogil:
    """Whether nobody need look at a field beside the spans: a schema's URL is a text, and must be one."""
    return field.number != SCHEMA_URL or field.kind != BYTES or is_ascii(&field.body)


cdef inline bint _is(const Reader *key, bytes name) noexcept:
    return left(key) == <size_t>len(name) and memcmp(key.at, <const char *>name, left(key)) == 0


cdef bint _unwrapped(Reader rest, unsigned int number, Reader *into) noexcept nogil:
    """Find what a KeyValue holds after its key: nothing but an AnyValue of this field, for the first time."""
    cdef Field outer, inner
    if not left(&rest) or not read_field(&rest, &outer) or left(&rest):
        return False
    if outer.number != VALUE or outer.kind != BYTES:
        return False
    rest = outer.body
    if not left(&rest) or not read_field(&rest, &inner) or left(&rest):
        return False
    return inner.number == number and inner.kind == BYTES and _once(into, &inner.body)


cdef inline bint _once(Reader *into, const Reader *found) noexcept nogil:
    if into.at != NULL:
        return False
    into[0] = found[0]
    return True


cdef inline bint _identifies(const Reader *found, size_t size) noexcept nogil:
    return found.at != NULL and left(found) == size and memcmp(found.at, NO_IDENTIFIER, size) != 0


cdef inline bytes _bytes(Reader found):
    return PyBytes_FromStringAndSize(<const char *>found.at, left(&found))


cdef object _text(const Reader *found):
    """None: no UTF-8, or too long."""
    if left(found) == 0 or left(found) >= TEXT_MAX:
        return None
    try:
        return PyUnicode_DecodeUTF8(<const char *>found.at, left(found), NULL)
    except UnicodeDecodeError:
        return None
