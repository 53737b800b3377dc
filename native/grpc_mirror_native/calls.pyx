# cython: language_level=3, boundscheck=True, wraparound=False, cdivision=True
"""What nearly every unary call needs of its handler. The Python of it: `grpc_mirror.unary`, `sync_calls` and `aio_calls`.

These classes stand before those in the order of bases, so whatever is not as usual is theirs: they are called under the names
that stand here, and find what was seen so far in the same attributes. A call that ends plainly is encoded here at once: what it
is made of is at hand, and a fifth of a second later, when the sender comes, it is no longer in any cache.
"""

cimport cython
from cpython.bytes cimport PyBytes_CheckExact, PyBytes_GET_SIZE
from cpython.contextvars cimport PyContextVar_Reset, PyContextVar_Set, get_value
from cpython.iterator cimport PyIter_Check
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.stdint cimport uint64_t
import builtins
from asyncio import current_task
from time import perf_counter_ns, time_ns

from grpc_mirror_native.encoding cimport Call, Encoder, Span
from grpc_mirror_native.queueing cimport Queue

cdef object _clock = perf_counter_ns
cdef object _time = time_ns
cdef object _next = builtins.next
cdef object _current_task = current_task
cdef str _TRACEPARENT = "traceparent"
cdef str _MIRROR_ID = "x-mirror-id"
cdef str _CALLING = "Exception calling application: "
cdef str _ITERATING = "Exception iterating responses: "


cdef inline object _of(object pair, int index):
    """An item of a pair. Those of grpc are named tuples, whose own way to an item is through Python."""
    if isinstance(pair, tuple) and PyTuple_GET_SIZE(pair) == 2:
        return <object>PyTuple_GET_ITEM(pair, index)
    return pair[index]


cdef inline uint64_t _held(object body):
    """Bytes of a body; of one that is only counted none are held."""
    return PyBytes_GET_SIZE(body) if PyBytes_CheckExact(body) else 0


def is_mirrored(metadata):
    """Whether a call carries `x-mirror-id`. All that a call which is not mirrored costs."""
    for pair in metadata:
        if _of(pair, 0) == _MIRROR_ID:
            return True
    return False


cdef class Means:
    """What calls need of Python."""

    cdef object served, plain, current_context, attach, detach, led, context
    cdef object span
    cdef object span_key
    cdef double no_deadline_s
    cdef uint64_t plain_bytes

    def __init__(
        self, *, served, plain, current_context, attach, detach, led, context, span_key, span, double no_deadline_s, plain_bytes
    ):
        """Set up once.

        Args:
            served: the context variable that holds the call being served.
            plain: the class of plain calls.
            current_context: as OpenTelemetry's, and so are `attach` and `detach`.
            led: `led(metadata, start_ns)`, for calls in whose context something is current already.
            context, span_key, span: of the context to run the handler in below a remote parent: `context({span_key: ...})`, where
                the span is made without arguments and given `_traceparent` and `_start_ns`.
            no_deadline_s: a time remaining of more says that there is no deadline.
            plain_bytes: of a plain call beside its messages and headers, for the queue's bound.
        """
        self.served, self.plain, self.led = served, plain, led
        self.context, self.span_key, self.span = context, span_key, span
        self.current_context, self.attach, self.detach = current_context, attach, detach
        self.no_deadline_s, self.plain_bytes = no_deadline_s, plain_bytes


cdef class Unary:
    """A unary call of either flavour. A subclass in Python has `means`."""

    cdef public object observer, method, metadata, behavior, _decode, _encode
    cdef public object request, response, request_type, response_type
    cdef public object current, initial_metadata, mark, unsendable, _context, _holds
    cdef public uint64_t start_ns, start_unix_ns, request_ns, response_ns, deadline_ns
    cdef public bint begun, finished, odd, _returned
    cdef Py_ssize_t _free  # what a direction may hold without asking; below zero: messages are only counted
    cdef Means _means

    def __init__(self, observer, handler, method, metadata):
        self._set_up(observer, handler, method, metadata)

    cdef int _set_up(self, object observer, object handler, object method, object metadata) except -1:
        wanted = observer.wanted
        self._means = self.means
        self._holds = ()
        self.observer = observer
        self._free = observer.free_bytes
        self.method = method
        self.metadata = tuple([pair for pair in metadata if _of(pair, 0) in wanted])
        self.behavior = handler.unary_unary
        self._decode = handler.request_deserializer
        self._encode = handler.response_serializer
        self.start_unix_ns = _time()
        self.start_ns = _clock()
        return 0

    def __del__(self):
        """A call whose handler never began leaves no capture, so it is counted."""
        if not self.begun and not self.finished and self.observer is not None:
            self.observer.counters.notice("not_started")

    def request_deserializer(self, raw):
        """As the handler's own, which may be None."""
        try:
            if not self.finished:
                if self.request is None and PyBytes_CheckExact(raw) and (self._free < 0 or PyBytes_GET_SIZE(raw) <= self._free):
                    self.request = PyBytes_GET_SIZE(raw) if self._free < 0 else raw
                    self.request_ns = self._since()
                else:
                    self._see(0, raw)
        except Exception:  # ours must never reach the service
            self.observer.fault()
        if self._decode is None:
            return raw
        try:
            message = self._decode(raw)
        except Exception as error:
            self.on_malformed(error)
            raise
        if message is None:
            self.on_malformed(None)
        else:
            self.request_type = type(message)
        return message

    def response_serializer(self, message):
        """As the handler's own, which may be None."""
        if self._encode is None:
            raw = message
        else:
            try:
                raw = self._encode(message)
            except Exception as error:
                self.unsendable = error
                raise
            self.response_type = type(message)
        try:
            if not self.finished:
                if self.response is None and PyBytes_CheckExact(raw) and (self._free < 0 or PyBytes_GET_SIZE(raw) <= self._free):
                    self.response = PyBytes_GET_SIZE(raw) if self._free < 0 else raw
                    self.response_ns = self._since()
                else:
                    self._see(1, raw)
        except Exception:  # ours must never reach the service
            self.observer.fault()
        return raw

    def put_plain(self):
        """Hand off a call that returned with OK. Call it once; False: there is more to tell than two messages."""
        cdef uint64_t size
        cdef object record = None
        if self.request is None or self.response is None or self.odd or self.tally is not None or self.initial_metadata:
            return False
        self.finished = True
        size = self._means.plain_bytes + _held(self.request) + _held(self.response)
        for pair in <tuple>self.metadata:
            size += len(_of(pair, 1))
        if size > <uint64_t>self.observer.large_bytes:
            self.observer.sampling.add(self.method, size)
        sink = self.observer.sink
        encoder = getattr(sink, "encoder", None)
        duration_ns = self._since()
        if encoder is not None:
            record = self._written(<Encoder?>encoder, duration_ns, size)
        if record is None:
            record = tuple.__new__(self._means.plain, self._told(duration_ns, size))
        self.request = self.response = None
        queue = sink.queue if type(record) is Span else None
        if type(queue) is Queue:
            (<Queue>queue).put_sized(record, size)
        else:
            sink.put(record)
        if self._holds:
            self._holds = ()
        return True

    cdef Span _written(self, Encoder encoder, uint64_t duration_ns, uint64_t size):
        cdef Call call
        cdef Span span
        call.start_ns, call.request_ns, call.response_ns = self.start_ns, self.request_ns, self.response_ns
        call.deadline_ns, call.unix_ns, call.duration_ns = self.deadline_ns, self.start_unix_ns, duration_ns
        try:
            span = encoder.written(
                <tuple?>self.metadata,
                self.method,
                self.current,
                self.request,
                self.response,
                self.observer.sampled,
                self.request_type,
                self.response_type,
                self.initial_metadata,
                &call,
                None,
            )
        except Exception:  # nothing is lost: the sender encodes it
            return None
        if span is not None:
            span.size = size
        return span

    cdef tuple _told(self, uint64_t duration_ns, uint64_t size):
        return (
            self.metadata,
            self.method,
            self.current,
            self.start_ns,
            self.request,
            self.response,
            self.request_ns,
            self.response_ns,
            self.request_type,
            self.response_type,
            self.initial_metadata,
            self.deadline_ns,
            self.start_unix_ns,
            duration_ns,
            size,
            self.observer.sampled,
        )

    cdef uint64_t _since(self) except? 0:
        return <uint64_t>_clock() - self.start_ns

    cdef object _led(self, object remaining_s):
        """The handler starts. The OpenTelemetry context to run it in, or None where nothing is to change."""
        cdef uint64_t elapsed_ns
        self.begun = True
        if remaining_s is not None and remaining_s < self._means.no_deadline_s:
            elapsed_ns = self._since()
            self.deadline_ns = max(1, int(remaining_s * 1e9) + elapsed_ns)
        if self._means.current_context():
            current, context = self._means.led(self.metadata, self.start_ns)
            if current is not None:
                self.current = current
            return context
        for pair in <tuple>self.metadata:
            if _of(pair, 0) == _TRACEPARENT:
                value = _of(pair, 1)
                if value and isinstance(value, str):
                    span = self._means.span.__new__(self._means.span)
                    span._traceparent, span._start_ns = value, self.start_ns
                    return self._means.context({self._means.span_key: span})
        return None


@cython.final
@cython.no_gc  # numbers only
cdef class Tally:
    """How many messages, and their bytes."""

    cdef public uint64_t count, bytes


cdef class Steps:
    """What the watched response iterators of sync servers need of Python. The Python of these: `grpc_mirror.sync_calls`."""

    cdef object served, variable, attach, detach, current_context

    def __init__(self, *, served, variable, attach, detach, current_context):
        """Set up once.

        Args:
            served: the context variable that holds the call being served.
            variable: that of OpenTelemetry's context; None: `attach`, `detach` and `current_context` are to be asked.
            attach, detach, current_context: as OpenTelemetry's.
        """
        self.served, self.variable = served, variable
        self.attach, self.detach, self.current_context = attach, detach, current_context

    def responses(self, call, responses, trace_context):
        """A handler's response iterator, watched for a call; `trace_context`: in which its steps run, or None."""
        cdef Responses made = Responses.__new__(Responses)
        made._steps, made._call, made._responses, made._trace_context = self, call, responses, trace_context
        return made


@cython.final
cdef class Responses:
    """A handler's response iterator, each step of which runs as part of the call and in its OpenTelemetry context."""

    cdef Steps _steps
    cdef object _call, _responses, _trace_context

    def __getattr__(self, name):
        """What else the handler's own has."""
        return getattr(self._responses, name)

    def __iter__(self):
        return self

    def __next__(self):
        cdef Steps steps = self._steps
        attached = None
        served = PyContextVar_Set(steps.served, self._call)
        if self._trace_context is not None:
            if steps.variable is None:
                attached = steps.attach(self._trace_context)
            else:
                attached = PyContextVar_Set(steps.variable, self._trace_context)
        try:
            if PyIter_Check(self._responses):
                response = next(self._responses)
            else:
                response = _next(self._responses)  # raises; the client is told in its words, which are not Cython's
        except StopIteration:
            self._call.on_returned()
            raise
        except BaseException as error:
            self._call.on_raised(error, _ITERATING)
            raise
        finally:
            if attached is not None:
                if steps.variable is None:
                    self._trace_context = steps.current_context()
                    steps.detach(attached)
                else:
                    self._trace_context = get_value(steps.variable)
                    PyContextVar_Reset(steps.variable, attached)
            PyContextVar_Reset(steps.served, served)
        if response is None:  # grpc takes it for the end
            self._call.on_returned()
        return response


cdef class _Codec:
    """What the two of a call with streams share. It holds nothing that may hold it: no cycle per call."""

    cdef object recorder, seen, observer, original, kind, there
    cdef list messages
    cdef uint64_t start_ns
    cdef Py_ssize_t first_max, free
    cdef Tally tally  # of a call whose messages are only counted

    cdef int _set_up(self, object recorder, object seen, object original, object kind, object there) except -1:
        self.recorder, self.seen, self.original, self.kind, self.there = recorder, seen, original, kind, there
        self.observer = recorder.observer
        self.messages = <list?>seen.messages
        self.start_ns, self.free, self.first_max = recorder.start_ns, self.observer.free_bytes, seen.first_max
        self.tally = <Tally?>seen.tally if self.free < 0 else None
        return 0

    cdef int _saw(self, object raw) except -1:
        """As `grpc_mirror.seen.Seen.add`, which is left all but the usual."""
        cdef Py_ssize_t size, count, held
        cdef uint64_t offset_ns
        if self.recorder.finished:
            return 0
        if self.tally is not None:
            self.tally.count += 1
            self.tally.bytes += PyBytes_GET_SIZE(raw) if isinstance(raw, bytes) else 0
            return 0
        offset_ns = <uint64_t>_clock() - self.start_ns
        if PyBytes_CheckExact(raw):
            size, count, held = PyBytes_GET_SIZE(raw), self.seen.count, self.seen.held
            if count < self.first_max and held + size <= self.free:
                self.seen.count, self.seen.held = count + 1, held + size
                self.messages.append(tuple.__new__(self.kind, (offset_ns, size, raw, self.there, b"")))
                return 0
        self.seen.add(raw, offset_ns, self.observer.budget.reserve, self.recorder.room)
        return 0


cdef class RequestCodec(_Codec):
    """A request deserialiser that sees the bytes of one call. The Python of it: `grpc_mirror.codecs`."""

    cdef object on_malformed

    def __init__(self, recorder, original, on_malformed, kind, there):
        """`kind`: the class of messages; `there`: that of a body which is held."""
        self._set_up(recorder, recorder.requests, original, kind, there)
        self.on_malformed = on_malformed

    def __call__(self, raw):
        try:
            self._saw(raw)
        except Exception:  # ours must never reach the service
            self.observer.fault()
        if self.original is None:
            return raw
        try:
            message = self.original(raw)
        except Exception as error:
            self.on_malformed(error)
            raise
        if message is None:
            self.on_malformed(None)
        elif self.seen.type is None:
            self.seen.type = type(message)
        return message


cdef class ResponseCodec(_Codec):
    """A response serialiser that sees the bytes of one call. The first exception of the original is kept."""

    def __init__(self, recorder, original, kind, there):
        """As above."""
        self._set_up(recorder, recorder.responses, original, kind, there)

    def __call__(self, message):
        if self.original is None:
            raw = message
        else:
            try:
                raw = self.original(message)
            except Exception as error:
                if self.recorder.unsendable is None:
                    self.recorder.unsendable = error
                raise
            if self.seen.type is None:
                self.seen.type = type(message)
        try:
            self._saw(raw)
        except Exception:  # ours must never reach the service
            self.observer.fault()
        return raw


cdef class SyncUnary(Unary):
    """A unary call of a sync server."""

    def __init__(self, observer, handler, method, metadata):
        self._set_up(observer, handler, method, metadata)
        self.initial_metadata = ()

    def unary_unary(self, request, context):
        """The handler's function."""
        trace_context = self._begin(context)
        served = PyContextVar_Set(self._means.served, self)
        attached = None if trace_context is None else self._means.attach(trace_context)
        try:
            response = self.behavior(request, context)
        except BaseException as error:
            self.on_raised(error, _CALLING)
            raise
        finally:
            if attached is not None:
                self._means.detach(attached)
            PyContextVar_Reset(self._means.served, served)
        self._returned = True
        return response

    cdef object _begin(self, object context):
        try:
            self._context = context
            trace_context = self._led(context.time_remaining())
            if self.observer.observes_initial:
                self._watch_initial_metadata(context)
            if not context.add_callback(self._on_end_of_call):
                self._on_end_of_call()
        except Exception:  # ours must never reach the service
            self.observer.fault()
            return None
        return trace_context

    def _on_end_of_call(self):
        if self.finished:
            return
        try:
            state = self._context._state
            told = state.code is not None or state.details or state.trailing_metadata
            odd = told or not (self._returned and state.statused) or self.observer.observes_initial
            plain = not odd and self.put_plain()
        except Exception:  # another kind of context: the long way tells; or ours failed
            plain = self.finished
            if plain:
                self.observer.fault()
        if plain:
            self._context = None
        else:
            self._end_otherwise()


cdef class _Watch:
    """Ends a call, once. Where it is a context's, which grpc keeps in a cycle with its callbacks, it lets go of the call."""

    cdef object _call

    def __call__(self, _context):
        call, self._call = self._call, None
        if call is not None:
            call.end()


cdef class AioUnary(Unary):
    """A unary call of an aio server whose handler is a coroutine function."""

    cdef public bint _over
    cdef public object task

    def _begin_async(self, context):
        cdef _Watch watch
        try:
            self._context = context
            PyContextVar_Set(self._means.served, self)  # never reset, as below
            trace_context = self._led(context.time_remaining())
            if trace_context is not None:
                self._means.attach(trace_context)  # never detached: each call has a task, and so a context, of its own
            watch = _Watch.__new__(_Watch)
            watch._call = self
            task, self.task = self.task, None
            if task is not None and task is _current_task():
                task.add_done_callback(watch)
            else:
                context.add_done_callback(watch)
        except Exception:  # ours must never reach the service
            self.observer.fault()

    def end(self):
        """The call is over. Later calls do nothing."""
        try:
            context = self._context
            odd = self._over or not self._returned or context.code() or context.details() or context.trailing_metadata()
            plain = not odd and self.put_plain()
        except Exception:  # another kind of context: the long way tells; or ours failed
            plain = self.finished
            if plain:
                self.observer.fault()
        if plain:
            self._over = True
            self._context = None
        else:
            self._end_otherwise()
