# cython: language_level=3
"""Reading protobuf's wire format within bounds. Only these functions move a position; none reads beyond `end`.

Each returns whether it could: False is "not plainly right", and the caller hands the whole back. What protobuf accepts and these
refuse (groups, numbers written longer than need be up to ten bytes are fine) only costs time.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcmp

cdef enum:
    VARINT = 0
    FIXED64 = 1
    BYTES = 2
    FIXED32 = 5
    FIELD_MAX = 536870911


cdef struct Reader:
    const unsigned char *at
    const unsigned char *end


cdef struct Field:
    uint32_t number
    uint32_t kind
    uint64_t value  # of VARINT
    Reader body  # of BYTES


cdef inline Reader reader_of(const unsigned char *start, size_t size) noexcept nogil:
    cdef Reader made
    made.at = start
    made.end = start + size
    return made


cdef inline size_t left(const Reader *reader) noexcept nogil:
    return <size_t>(reader.end - reader.at)


cdef inline bint read_varint(Reader *reader, uint64_t *value) noexcept nogil:
    cdef uint64_t found = 0
    cdef unsigned int shift = 0
    cdef unsigned char byte
    while reader.at < reader.end and shift < 70:
        byte = reader.at[0]
        reader.at += 1
        if shift == 63 and byte > 1:
            return False
        found |= <uint64_t>(byte & 0x7F) << shift
        if byte < 0x80:
            value[0] = found
            return True
        shift += 7
    return False


cdef inline bint read_field(Reader *reader, Field *field) noexcept nogil:
    """The next field, its bytes or number read. Call it only while something is left."""
    cdef uint64_t tag = 0
    cdef uint64_t size = 0
    if not read_varint(reader, &tag):
        return False
    if tag >> 3 == 0 or tag >> 3 > FIELD_MAX:
        return False
    field.number = <uint32_t>(tag >> 3)
    field.kind = <uint32_t>(tag & 7)
    if field.kind == VARINT:
        return read_varint(reader, &field.value)
    if field.kind == BYTES:
        if not read_varint(reader, &size):
            return False
    elif field.kind == FIXED64:
        size = 8
    elif field.kind == FIXED32:
        size = 4
    else:
        return False
    if size > left(reader):
        return False
    field.body.at = reader.at
    field.body.end = reader.at + size
    reader.at += size
    return True


cdef inline bint same_bytes(const Reader *one, const Reader *other) noexcept nogil:
    return left(one) == left(other) and memcmp(one.at, other.at, left(one)) == 0


cdef inline bint is_ascii(const Reader *text) noexcept nogil:
    """So it is UTF-8, without looking closer."""
    cdef const unsigned char *at = text.at
    cdef unsigned char seen = 0
    while at < text.end:
        seen |= at[0]
        at += 1
    return seen < 0x80
