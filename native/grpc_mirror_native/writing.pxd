# cython: language_level=3
"""Writing protobuf's wire format into memory that is large enough: each function returns where the next byte is to stand."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint64_t
from libc.string cimport memcpy


cdef struct Text:
    const char *at
    uint64_t size


cdef inline Text text_at(const unsigned char *at, uint64_t size) noexcept nogil:
    cdef Text made
    made.at, made.size = <const char *>at, size
    return made


cdef inline Text text_of(bytes owner):
    """Its bytes, which live as long as it does."""
    return text_at(<const unsigned char *>PyBytes_AS_STRING(owner), PyBytes_GET_SIZE(owner))


cdef inline uint64_t varint_size(uint64_t value) noexcept nogil:
    cdef uint64_t size = 1
    while value >= 0x80:
        value >>= 7
        size += 1
    return size


cdef inline uint64_t field_size(uint64_t size) noexcept nogil:
    """Of a field of so many bytes, with its tag (of one byte) and its length."""
    return 1 + varint_size(size) + size


cdef inline unsigned char *varint(unsigned char *at, uint64_t value) noexcept nogil:
    while value >= 0x80:
        at[0] = <unsigned char>(value | 0x80)
        value >>= 7
        at += 1
    at[0] = <unsigned char>value
    return at + 1


cdef inline unsigned char *tagged(unsigned char *at, unsigned char tag, uint64_t value) noexcept nogil:
    at[0] = tag
    return varint(at + 1, value)


cdef inline unsigned char *four(unsigned char *at, uint64_t value, unsigned char last) noexcept nogil:
    """A number below SHORT in four bytes; `last` 0x80: more bytes follow."""
    at[0] = <unsigned char>(value | 0x80)
    at[1] = <unsigned char>(value >> 7 | 0x80)
    at[2] = <unsigned char>(value >> 14 | 0x80)
    at[3] = <unsigned char>(value >> 21 & 0x7F | last)
    return at + 4


cdef inline unsigned char *raw(unsigned char *at, Text text) noexcept nogil:
    memcpy(at, text.at, text.size)
    return at + text.size


cdef inline unsigned char *little_endian(unsigned char *at, uint64_t value, int size) noexcept nogil:
    cdef int index
    for index in range(size):
        at[index] = <unsigned char>(value >> 8 * index)
    return at + size


cdef inline unsigned char *big_endian(unsigned char *at, uint64_t value) noexcept nogil:
    cdef int index
    for index in range(8):
        at[index] = <unsigned char>(value >> 8 * (7 - index))
    return at + 8
