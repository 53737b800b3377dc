# cython: language_level=3, boundscheck=True, wraparound=False, cdivision=True
"""Where finished calls wait for the sender. The Python of it: `grpc_mirror.sinks.queue`.

No method gives the GIL away while it changes something, so none needs a lock. What may run Python (the size of a foreign record, a
finaliser when an object is made that the garbage collector sees, as a list is) stands before the change, and may put records here
itself: nothing of the list of records may be held across it.
"""

from cpython.object cimport PyObject
from libc.stdint cimport uint64_t

from grpc_mirror_native.encoding cimport Span

cdef extern from "Python.h":
    int PyList_SetSlice(object list, Py_ssize_t low, Py_ssize_t high, PyObject *items) except -1  # NULL: they are deleted

cdef uint64_t _ANY = 0
cdef uint64_t _NEVER = <uint64_t>1 << 62


cdef class Queue:
    """First in, first out; bounded by bytes and by number."""

    def __init__(self, counters, *, uint64_t max_bytes, Py_ssize_t max_calls, rouse):
        """`counters`: gets `captured`, and `drop(reason, count)`. `rouse()`: see `rouse_at` in Python."""
        self._counters, self._rouse = counters, rouse
        self._max_bytes, self._max_calls = max_bytes, max_calls
        self.reset()

    def reset(self):
        """Start empty, as a forked child must."""
        self._records, self._refusal = [], ""
        self.held_bytes = self.taken = self._captured = 0
        self.rouse_at = _ANY

    def put(self, record):
        """Take a record. Returns whether there was room."""
        return self.put_sized(record, _size(record))

    cdef bint put_sized(self, object record, uint64_t size) except -1:
        cdef uint64_t held = self.held_bytes + size
        cdef bint room = held <= self._max_bytes and len(self._records) < self._max_calls and not self._refusal
        cdef bint roused
        if room:
            self._records.append(record)
            self.held_bytes = held
        self._captured += 1
        self._counters.captured = self._captured
        roused = self.rouse_at < _NEVER and (not room or held >= self.rouse_at)
        if roused:
            self.rouse_at = _NEVER
        if not room:
            self._counters.drop(self._refusal or "queue_full", 1)
        if roused:
            self._rouse()
        return room

    def take(self, Py_ssize_t count):
        """At most `count` of the oldest records."""
        cdef list taken = []  # made before anything is looked at, since that may run a finaliser
        cdef uint64_t held = 0
        cdef Py_ssize_t index
        count = min(count, len(self._records))
        for index in range(count):
            held += _size(self._records[index])
        self._move(count, held, taken)
        return taken

    def take_written(self, dict ready not None, uint64_t room, uint64_t enough, Py_ssize_t count):
        """The oldest records, as far as they are spans whose form is `ready`. Returns them and the bytes of their content.

        Args:
            ready: by form how many there were, which is added to.
            room: bytes of content that they come to at most.
            enough: bytes after which no more are taken.
            count: at most so many.
        """
        cdef list taken = []  # as above
        cdef uint64_t held = 0, size = 0
        cdef Py_ssize_t index = 0
        cdef object last = None
        cdef Span span
        count = min(count, len(self._records))
        while index < count and size < enough:
            record = self._records[index]
            if type(record) is not Span:
                break
            span = <Span>record
            if span.form is not last:
                if span.form not in ready:
                    break
                last = span.form
            if size + span.bytes > room:
                break
            ready[last] += 1
            size += span.bytes
            held += span.size
            index += 1
        self._move(index, held, taken)
        return taken, size

    cdef int _move(self, Py_ssize_t count, uint64_t held, list into) except -1:
        """Take out the oldest. Makes nothing that the garbage collector sees: a slice would, and read a list that has moved since."""
        cdef Py_ssize_t index
        if count <= 0:
            return 0
        for index in range(count):
            into.append(self._records[index])
        PyList_SetSlice(self._records, 0, count, NULL)
        self.held_bytes -= held
        self.taken += count
        return 0

    @property
    def accepted(self):
        """Records that found room, ever."""
        return self.taken + len(self._records)

    @property
    def filled(self):
        """The share of its room that is taken, 0 to 1."""
        return max(len(self._records) / <double>self._max_calls, self.held_bytes / <double>self._max_bytes)

    @property
    def closed(self):
        """Whether nothing is taken any more."""
        return bool(self._refusal)

    def close(self, str reason not None):
        """Take nothing any more; what comes is dropped for `reason`. What is here can still be taken out."""
        self._refusal = self._refusal or reason

    def clear(self):
        """Drop what is left of a closed queue, for the reason that it was closed. Returns how many there were."""
        cdef list none = []
        cdef list left = self._records
        self._records = none
        self.held_bytes = 0
        if left:
            self._counters.drop(self._refusal, len(left))
        return len(left)

    def __len__(self):
        return len(self._records)


cdef inline uint64_t _size(object record) except? 0:
    return (<Span>record).size if type(record) is Span else record.size
