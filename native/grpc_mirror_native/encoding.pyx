# cython: language_level=3, boundscheck=True, wraparound=False, cdivision=True
"""Writes finished plain calls as elements of an OTLP batch. The Python of it, byte for byte: `grpc_mirror.plain`.

Of a call everything is measured first, and then written once, into bytes of just that size. What is not plainly as usual (a
header that is odd, repeated or no ASCII, a large message, a link) is handed back, and Python writes or refuses it.
"""

import sys

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.long cimport PyLong_CheckExact
from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_GET_SIZE
from cpython.unicode cimport PyUnicode_CheckExact
from libc.stdint cimport uint64_t
from libc.string cimport memcmp, memcpy, memset

from grpc_mirror_native.writing cimport (
    Text,
    big_endian,
    field_size,
    four,
    little_endian,
    raw,
    tagged,
    text_at,
    text_of,
    varint,
    varint_size,
)

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL

cdef enum:
    CALL_SIZE = 16  # fields of a Plain
    FORM_SIZE = 6  # and of a Form
    MESSAGE_SIZE = 5  # and of a Message
    HEADERS = 7
    HEADER_ID = 0  # their order, as `Encoder` is told them
    HEADER_RUN = 1
    HEADER_ROLE = 2
    HEADER_EXPECT = 3
    HEADER_ATTEMPT = 4
    HEADER_PARENT = 5
    HEADER_STATE = 6
    PARENT_SIZE = 55  # of a traceparent
    SHORT = 1 << 28  # a number below it has a varint of four bytes
    TIMES_SIZE = 24  # both times and the flags of a span, with their tags
    NOT_SAMPLED = 7  # why a message is only counted, as mirror.v1.Omission has it


cdef dict _MODULES = sys.modules


cdef struct Sizes:
    # In bytes. A KeyValue is without its tag and length, and so is every message.
    uint64_t id_value, id_pair
    uint64_t request, response  # of the two CapturedMessages
    uint64_t capture, capture_value, capture_pair
    uint64_t span
    uint64_t item  # the span as a field of its batch
    uint64_t between  # what stands between the two bodies


@cython.final
@cython.no_gc  # it holds bytes, and what forms are made of: no cycle can go through it
cdef class Span:
    """A call's span as an element of its batch."""

    @property
    def is_call(self):
        """As other items of a batch have it."""
        return True


cdef class Encoder:
    """Knows the names of the headers and attributes, and what the calls of a method on one route have alike."""

    def __init__(
        self,
        type kind not None,
        dict forms not None,
        make not None,
        derived not None,
        *,
        tuple names not None,
        tuple keys not None,
        tuple limits not None,
        tuple seeds not None,
    ):
        """Set up for the calls of a process.

        Args:
            kind: the class of calls; others are handed back.
            forms: what is known of methods and routes, by (method, types of request and response, initial metadata, run, role,
                expect, attempt). Whoever clears it has it learnt anew.
            make: `make(call)` gives what is not known: a tuple as `grpc_mirror.plain.Form`.
            derived: `derived(mirror_id)` gives the trace ID of a call without a traceparent.
            names: of the headers: ID, run, role, expect, attempt, traceparent, tracestate.
            keys: of the attribute that holds the ID, and of that of the capture: the serialised key, and the tag of the value.
            limits: of the ID and of the tracestate, in characters; of one message, in bytes; of what is written in one piece.
            seeds: (base, factor) of span IDs.
        """
        if len(names) != HEADERS:
            raise ValueError("the names of seven headers are wanted")
        self._kind, self._forms, self._make, self._derived, self._names = kind, forms, make, derived, names
        self._id_key, self._capture_key = keys
        self._id_max, self._state_max, self._body_max, self._join_max = limits
        self._base, self._mix = seeds

    def spans(self, list calls not None):
        """The span of each call; None: it is handed back. What is a span already is given as it is."""
        cdef list found = []
        for call in calls:
            if type(call) is Span:
                found.append(call)
                continue
            try:
                found.append(self._span(call))
            except Exception:  # a number or a text that is none of ours; Python finds out, for this call alone
                found.append(None)
        return found

    cdef Span _span(self, object call):
        cdef Call facts
        cdef tuple fields
        if type(call) is not self._kind or PyTuple_GET_SIZE(call) != CALL_SIZE:
            return None
        fields = <tuple>call
        facts.start_ns, facts.request_ns, facts.response_ns = fields[3], fields[6], fields[7]
        facts.deadline_ns, facts.unix_ns, facts.duration_ns = fields[11], fields[12], fields[13]
        sampled = fields[15] is True
        return self.written(
            fields[0], fields[1], fields[2], fields[4], fields[5], sampled, fields[8], fields[9], fields[10], &facts, call
        )

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
    ):
        """The span of a call whose times are known; None: it is handed back.

        `plain`: the same call as a Plain, of which a form can be made. None: none is to be made here, nor one used that may be out
        of date, since a module was loaded.
        """
        cdef PyObject *headers[HEADERS]
        cdef object form
        if plain is None and len(_MODULES) != self.modules:
            return None
        call.sampled = sampled
        if not self._found(metadata, headers) or not self._read(headers, current, call, request, response):
            return None
        key = (
            method,
            request_type,
            response_type,
            initial,
            _or_none(headers[HEADER_RUN]),
            _or_none(headers[HEADER_ROLE]),
            _or_none(headers[HEADER_EXPECT]),
            _or_none(headers[HEADER_ATTEMPT]),
            True if sampled else False,
        )
        form = self._forms.get(key)
        if form is None and plain is not None:
            form = self._forms[key] = self._make(plain)
        if not isinstance(form, tuple) or PyTuple_GET_SIZE(form) != FORM_SIZE or not (<tuple>form)[0]:
            return None
        call.own = text_of((<tuple>form)[3] if current is None else (<tuple>form)[4])
        call.head = text_of((<tuple>form)[5])
        return self._whole(form, request, response, call)

    cdef bint _found(self, tuple metadata, PyObject **headers) except -1:
        """Whether these are headers that are known, each once; their values, or NULL. They live as long as the metadata."""
        cdef int index
        memset(headers, 0, HEADERS * sizeof(PyObject *))
        for pair in metadata:
            if not isinstance(pair, tuple) or PyTuple_GET_SIZE(pair) != 2:  # grpc's pairs are of a class of their own
                return False
            key, value = (<tuple>pair)[0], (<tuple>pair)[1]
            if not PyUnicode_CheckExact(key) or not PyUnicode_CheckExact(value):
                return False
            for index in range(HEADERS):
                if <str>key == <str?>self._names[index]:
                    break
            else:
                return False
            if headers[index] != NULL:
                return False
            headers[index] = <PyObject *>value
        return headers[HEADER_ID] != NULL

    cdef bint _read(self, PyObject **headers, object current, Call *call, object request, object response) except -1:
        """Whether all of a call is as usual."""
        if call.sampled:
            if not PyBytes_CheckExact(request) or not PyBytes_CheckExact(response):
                return False
            call.asked, call.answered = PyBytes_GET_SIZE(request), PyBytes_GET_SIZE(response)
            if call.asked > self._body_max or call.answered > self._body_max:
                return False
        elif PyLong_CheckExact(request) and PyLong_CheckExact(response):
            call.asked, call.answered = request, response
        else:
            return False
        if call.unix_ns >> 63 or (call.duration_ns | call.request_ns | call.response_ns) >= SHORT:
            return False
        if not _plain_text(<object>headers[HEADER_ID], self._id_max, &call.ident):
            return False
        call.state.size = 0
        if headers[HEADER_STATE] != NULL and <object>headers[HEADER_STATE]:
            if not _plain_text(<object>headers[HEADER_STATE], self._state_max, &call.state):
                return False
        call.span_id = (call.start_ns + self._base) * self._mix
        if call.span_id == 0:
            call.span_id = 1
        call.id_key, call.capture_key = text_of(self._id_key), text_of(self._capture_key)
        return self._place(current, headers, call)

    cdef bint _place(self, object current, PyObject **headers, Call *call) except -1:
        """Where the span stands in its trace: below one of the service's own, or below the remote parent, or at its root."""
        if headers[HEADER_PARENT] == NULL:
            call.child, call.flags = False, 0
            if not _copied(self._derived(<object>headers[HEADER_ID]), call.trace_id, TRACE_ID):
                return False
        elif not _parent_of(<object>headers[HEADER_PARENT], call):
            return False
        if current is None:
            return True
        trace_id, span_id, flags = current
        if PyBytes_GET_SIZE(<bytes?>trace_id) != TRACE_ID:
            return False
        if memcmp(PyBytes_AS_STRING(trace_id), call.trace_id, TRACE_ID) != 0:
            return False
        call.child, call.flags = True, flags
        return _copied(span_id, call.parent_id, SPAN_ID)

    cdef Span _whole(self, object form, object request, object response, Call *call):
        cdef Sizes sizes
        cdef Span span = Span.__new__(Span)
        cdef unsigned char *at
        cdef bytes first, between
        _measure(call, &sizes)
        span.form, span.bytes = form, sizes.item
        if not call.sampled:
            first = PyBytes_FromStringAndSize(NULL, sizes.item)
            at = _written_start(<unsigned char *>PyBytes_AS_STRING(first), call, &sizes)
            _ended(_counted(_counted(at, 1, call.asked), 2, call.answered), first)
            span.content = (first,)
            return span
        if sizes.item <= self._join_max:
            first = PyBytes_FromStringAndSize(NULL, sizes.item)
            at = _written_start(<unsigned char *>PyBytes_AS_STRING(first), call, &sizes)
            at = raw(at, text_of(request))
            at = _message(at, sizes.response, 2, call.response_ns, call.answered)
            _ended(raw(at, text_of(response)), first)
            span.content = (first,)
            return span
        # The bodies are copied when their batch is put together.
        first = PyBytes_FromStringAndSize(NULL, sizes.item - sizes.between - call.asked - call.answered)
        _ended(_written_start(<unsigned char *>PyBytes_AS_STRING(first), call, &sizes), first)
        between = PyBytes_FromStringAndSize(NULL, sizes.between)
        at = <unsigned char *>PyBytes_AS_STRING(between)
        _ended(_message(at, sizes.response, 2, call.response_ns, call.answered), between)
        span.content = first, request, between, response
        return span


def messages(tuple requests not None, tuple responses not None, Py_ssize_t room, Py_ssize_t limit, Py_ssize_t alone):
    """The messages of a call as fields of its capture, in the order in which the server saw them, as far as they are as usual.

    Args:
        requests: as `grpc_mirror.seen.Message`, in order; so `responses`. Of equal offsets requests come first.
        room: bytes of bodies that the capture takes. A message without a body, or over it, ends what is written; with one that is
            out of order nothing is.
        limit: of one body.
        alone: a body of so many bytes stands by itself among the pieces, and is no copy.

    Returns:
        (pieces, requests that are in them, responses that are in them, room that is left).
    """
    try:
        return _messages(requests, responses, room, limit, alone)
    except Exception:  # what is no message; Python finds out
        return [], 0, 0, room


cdef tuple _messages(tuple requests, tuple responses, Py_ssize_t room, Py_ssize_t limit, Py_ssize_t alone):
    cdef list pieces = []
    cdef list run = []  # those that are not written yet, as (body, direction, offset)
    cdef Py_ssize_t asked = 0, answered = 0, size, given = room
    cdef uint64_t offset, last = 0, run_size = 0
    cdef unsigned char direction
    cdef tuple message
    while asked < len(requests) or answered < len(responses):
        direction = _next_direction(requests, asked, responses, answered)
        message = _message_of(requests, asked) if direction == 1 else _message_of(responses, answered)
        body, offset = message[2], message[0]
        if offset < last:
            return [], 0, 0, given
        if not PyBytes_CheckExact(body) or offset >= SHORT:
            break
        size = PyBytes_GET_SIZE(body)
        if size > limit or size > room:
            break
        last = offset
        room -= size
        run.append((body, direction, offset))
        run_size += field_size(_message_size(size))
        if size >= alone:
            pieces.append(_run(run, run_size - size, alone))
            pieces.append(body)
            run.clear()
            run_size = 0
        if direction == 1:
            asked += 1
        else:
            answered += 1
    if run:
        pieces.append(_run(run, run_size, alone))
    return pieces, asked, answered, room


cdef unsigned char _next_direction(tuple requests, Py_ssize_t asked, tuple responses, Py_ssize_t answered) except 0:
    if asked >= len(requests):
        return 2
    if answered >= len(responses):
        return 1
    return 1 if <uint64_t>_message_of(requests, asked)[0] <= <uint64_t>_message_of(responses, answered)[0] else 2


cdef inline tuple _message_of(tuple messages, Py_ssize_t index):
    """A named tuple, as a tuple."""
    message = messages[index]
    if not isinstance(message, tuple) or PyTuple_GET_SIZE(message) < MESSAGE_SIZE:
        raise TypeError("no message")
    return <tuple>message


cdef bytes _run(list run, uint64_t size, Py_ssize_t alone):
    """Messages that follow one another; without the last body, where that stands alone."""
    cdef bytes made = PyBytes_FromStringAndSize(NULL, size)
    cdef unsigned char *at = <unsigned char *>PyBytes_AS_STRING(made)
    cdef unsigned char *end = at + size
    cdef uint64_t body_size
    for one in run:
        body, direction, offset = <tuple>one
        body_size = PyBytes_GET_SIZE(<bytes>body)
        if <uint64_t>(end - at) < field_size(_message_size(body_size)) - (body_size if <Py_ssize_t>body_size >= alone else 0):
            raise SystemError("messages were measured wrong")
        at = _message(at, _message_size(body_size), direction, offset, body_size)
        if <Py_ssize_t>body_size < alone:
            at = raw(at, text_of(<bytes>body))
    _ended(at, made)
    return made


cdef void _measure(const Call *call, Sizes *sizes) noexcept nogil:
    sizes.id_value = field_size(call.ident.size)
    sizes.id_pair = call.id_key.size + varint_size(sizes.id_value) + sizes.id_value
    cdef uint64_t messages
    if call.sampled:
        sizes.request = _message_size(call.asked)
        sizes.response = _message_size(call.answered)
        sizes.between = field_size(sizes.response) - call.answered
        messages = field_size(sizes.request) + field_size(sizes.response)
    else:
        sizes.request = sizes.response = sizes.between = 0
        messages = 3 + _counted_size(call.asked) + 3 + _counted_size(call.answered)
    sizes.capture = call.head.size + 6 + varint_size(call.unix_ns >> 28) + 6
    if call.deadline_ns:
        sizes.capture += 1 + varint_size(call.deadline_ns)
    sizes.capture += messages
    sizes.capture_value = field_size(sizes.capture)
    sizes.capture_pair = call.capture_key.size + varint_size(sizes.capture_value) + sizes.capture_value
    sizes.span = 2 + TRACE_ID + 2 + SPAN_ID + call.own.size + TIMES_SIZE
    if call.child:
        sizes.span += 2 + SPAN_ID
    if call.state.size:
        sizes.span += field_size(call.state.size)
    sizes.span += field_size(sizes.id_pair) + field_size(sizes.capture_pair)
    sizes.item = field_size(sizes.span)


cdef unsigned char *_written_start(unsigned char *at, const Call *call, const Sizes *sizes) noexcept nogil:
    """Write all that stands before the first body, or before what counts the messages. Returns where that is to stand."""
    at = tagged(at, 0x12, sizes.span)
    at = raw(tagged(at, 0x0A, TRACE_ID), text_at(call.trace_id, TRACE_ID))
    at = big_endian(tagged(at, 0x12, SPAN_ID), call.span_id)
    if call.child:
        at = raw(tagged(at, 0x22, SPAN_ID), text_at(call.parent_id, SPAN_ID))
    if call.state.size:
        at = raw(tagged(at, 0x1A, call.state.size), call.state)
    at = raw(at, call.own)
    at[0] = 0x39
    at = little_endian(at + 1, call.unix_ns, 8)
    at[0] = 0x41
    at = little_endian(at + 1, call.unix_ns + call.duration_ns, 8)
    at[0], at[1] = 0x85, 0x01
    at = little_endian(at + 2, call.flags, 4)
    at = varint(raw(tagged(at, 0x4A, sizes.id_pair), call.id_key), sizes.id_value)
    at = raw(tagged(at, 0x0A, call.ident.size), call.ident)
    at = varint(raw(tagged(at, 0x4A, sizes.capture_pair), call.capture_key), sizes.capture_value)
    at = raw(tagged(at, 0x3A, sizes.capture), call.head)
    at[0], at[1] = 0x88, 0x01
    at = varint(four(at + 2, call.unix_ns & (SHORT - 1), 0x80), call.unix_ns >> 28)
    at[0], at[1] = 0x90, 0x01
    at = four(at + 2, call.duration_ns, 0)
    if call.deadline_ns:
        at = tagged(at, 0x78, call.deadline_ns)
    return _message(at, sizes.request, 1, call.request_ns, call.asked) if call.sampled else at


cdef inline int _ended(const unsigned char *at, bytes made) except -1:
    """What was written is what was measured."""
    if at != <const unsigned char *>PyBytes_AS_STRING(made) + PyBytes_GET_SIZE(made):
        raise SystemError("a span was measured wrong")
    return 0


cdef inline object _or_none(PyObject *value):
    return None if value == NULL else <object>value


cdef bint _plain_text(object text, uint64_t most, Text *into) except -1:
    """Whether it is ASCII, not empty and not too long, without space around it."""
    cdef Py_ssize_t size = 0
    cdef const char *at = PyUnicode_AsUTF8AndSize(text, &size)
    cdef Py_ssize_t index
    cdef unsigned char seen = 0
    if size == 0 or <uint64_t>size > most or <unsigned char>at[0] <= 0x20 or <unsigned char>at[size - 1] <= 0x20:
        return False
    for index in range(size):
        seen |= <unsigned char>at[index]
    into.at, into.size = at, size
    return seen < 0x80


cdef bint _parent_of(object text, Call *call) except -1:
    """Whether it is a traceparent as nearly all are: of 55 characters, valid."""
    cdef Py_ssize_t size = 0
    cdef const char *at = PyUnicode_AsUTF8AndSize(text, &size)
    cdef unsigned char version[1]
    cdef unsigned char flags[1]
    if size != PARENT_SIZE or at[2] != c"-" or at[35] != c"-" or at[52] != c"-":
        return False
    if not (
        _unhexed(at, version, 1)
        and _unhexed(at + 3, call.trace_id, TRACE_ID)
        and _unhexed(at + 36, call.parent_id, SPAN_ID)
        and _unhexed(at + 53, flags, 1)
    ):
        return False
    call.child, call.flags = True, flags[0]
    return version[0] != 0xFF and _any(call.trace_id, TRACE_ID) and _any(call.parent_id, SPAN_ID)


cdef bint _unhexed(const char *at, unsigned char *into, int count) noexcept nogil:
    """Read lower-case hexadecimal digits, two for each of `count` bytes."""
    cdef int index
    cdef unsigned char digit, value = 0
    for index in range(2 * count):
        digit = <unsigned char>at[index]
        if c"0" <= digit <= c"9":
            digit -= c"0"
        elif c"a" <= digit <= c"f":
            digit -= c"a" - 10
        else:
            return False
        if index & 1:
            into[index >> 1] = value << 4 | digit
        value = digit
    return True


cdef inline bint _any(const unsigned char *at, int count) noexcept nogil:
    cdef int index
    for index in range(count):
        if at[index]:
            return True
    return False


cdef inline bint _copied(object made, unsigned char *into, Py_ssize_t size) except -1:
    """Whether it has that size."""
    if PyBytes_GET_SIZE(<bytes?>made) != size:
        return False
    memcpy(into, PyBytes_AS_STRING(made), size)
    return True


cdef inline uint64_t _message_size(uint64_t body) noexcept nogil:
    """Of a CapturedMessage with a body of so many bytes, as `_message` begins it."""
    return 9 + 2 * varint_size(body) + body


cdef inline unsigned char *_message(
    unsigned char *at, uint64_t size, unsigned char direction, uint64_t offset_ns, uint64_t body
) noexcept nogil:
    """What stands before the body of a CapturedMessage of so many bytes, in its capture."""
    at = tagged(at, 0x32, size)
    at[0], at[1], at[2] = 0x08, direction, 0x18
    return tagged(tagged(four(at + 3, offset_ns, 0), 0x20, body), 0x12, body)


cdef inline uint64_t _counted_size(uint64_t body) noexcept nogil:
    """Of an Omitted that counts one message of so many bytes, as `_counted` writes it."""
    return 7 + varint_size(body)


cdef inline unsigned char *_counted(unsigned char *at, unsigned char direction, uint64_t body) noexcept nogil:
    """One message of so many bytes, counted."""
    at[0], at[1] = 0xAA, 0x01
    at = varint(at + 2, _counted_size(body))
    at[0], at[1], at[2], at[3], at[4], at[5] = 0x08, NOT_SAMPLED, 0x10, direction, 0x18, 0x01
    return tagged(at + 6, 0x20, body)
