# cython: language_level=3
"""What a capture tells of its call, for whoever finds one in a span."""

from libc.stdint cimport int32_t, uint32_t

from grpc_mirror_native.wire cimport Reader


cdef struct Facts:
    uint32_t attempt
    int32_t status_code
    uint32_t outbound_calls


cdef bint plain(Reader capture, Facts *facts) noexcept nogil
