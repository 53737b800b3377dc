# cython: language_level=3
"""Encoding for whoever has a call's facts in C already."""

cimport cython
from cpython.object cimport PyObject
from libc.stdint cimport uint32_t, uint64_t

from grpc_mirror_native.writing cimport Text

cdef enum:
    TRACE_ID = 16
    SPAN_ID = 8


cdef struct Call:
    unsigned char trace_id[TRACE_ID]
    unsigned char parent_id[SPAN_ID]
    bint child  # else it is a root
    uint32_t flags
    uint64_t span_id
    Text ident, state, own, head, id_key, capture_key
    uint64_t start_ns, request_ns, response_ns, deadline_ns, unix_ns, duration_ns
    uint64_t asked, answered  # bytes of the two messages
    bint sampled  # else the messages are only counted


@cython.final
@cython.no_gc
cdef class Span:
    cdef readonly object form
    cdef readonly tuple content  # in pieces
    cdef readonly uint64_t bytes  # of these
    cdef public uint64_t size  # bytes that it counts for where it is queued


cdef class Encoder:
    cdef type _kind
    cdef dict _forms
    cdef object _make, _derived
    cdef tuple _names
    cdef bytes _id_key, _capture_key
    cdef uint64_t _id_max, _state_max, _body_max, _join_max
    cdef uint64_t _base, _mix
    cdef public Py_ssize_t modules  # that were loaded when the forms were made

    cdef Span written(
        self,
        tuple metadata,
        object method,
        object current,
        object request,
        object response,
        bint sampled,
        object request_type,
        object response_type,
        object initial,
        Call *call,
        object plain,
    )
    cdef Span _span(self, object call)
    cdef bint _found(self, tuple metadata, PyObject **headers) except -1
    cdef bint _read(self, PyObject **headers, object current, Call *call, object request, object response) except -1
    cdef bint _place(self, object current, PyObject **headers, Call *call) except -1
    cdef Span _whole(self, object form, object request, object response, Call *call)
