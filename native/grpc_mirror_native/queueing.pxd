# cython: language_level=3
"""Queueing for whoever has a finished call in C."""

from libc.stdint cimport uint64_t


cdef class Queue:
    cdef object _counters, _rouse
    cdef list _records
    cdef str _refusal
    cdef uint64_t _max_bytes, _captured
    cdef Py_ssize_t _max_calls
    cdef public uint64_t rouse_at
    cdef readonly uint64_t held_bytes, taken

    cdef bint put_sized(self, object record, uint64_t size) except -1
    cdef int _move(self, Py_ssize_t count, uint64_t held, list into) except -1
