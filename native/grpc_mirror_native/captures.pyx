# cython: language_level=3, boundscheck=True, wraparound=False, cdivision=True
"""Two captures held against each other byte by byte, less what is never compared. The Python of it: `mirror.core.twins`.

The captures are read side by side, a field of one against the field of the other. As soon as they are not alike, or one is
written otherwise than usual, the answer is None, and the way by protobuf decides.
"""

from libc.stdint cimport int32_t, uint32_t, uint64_t

from grpc_mirror_native.wire cimport BYTES, VARINT, Field, Reader, is_ascii, left, read_field, reader_of, same_bytes

# Fields of mirror.v1.Capture.
cdef enum:
    MESSAGES = 6
    STATUS_CODE = 11
    OUTBOUND_CALLS = 32
    REQUEST_METADATA = 7
    ENDING = 14
    DEADLINE_NS = 15
    ATTEMPT = 16
    START_UNIX_NS = 17
    DURATION_NS = 18
    REQUEST_COUNT = 19
    RESPONSE_COUNT = 20
    OMITTED = 21
    EXCEPTION_TYPE = 22
    PRIVATE_LEAVES = 24
    NOT_SAMPLED = 34
    LAST = 34
    MESSAGES_MAX = 1000
    ENDING_RETURNED = 1
    ENDING_RAISED = 2
# Of mirror.v1.CapturedMessage.
cdef enum:
    DIRECTION = 1
    OFFSET_NS = 3
    ORIGINAL_SIZE = 4
    OMISSION = 5
    HASH = 6
    MESSAGE_LEAVES = 8
    DIRECTION_REQUEST = 1
# Of mirror.v1.PrivateLeaf.
cdef enum:
    HMAC = 2
    KEY_ID = 3


    OMITTED_LAST = 5
    LEAF_LAST = 4
    METADATA_LAST = 2

# How a field is declared, by its number.
cdef enum:
    SKIPPED = 46  # '.': unknown
    NUMBER = 110  # 'n'
    TEXT = 116  # 't'
    DATA = 98  # 'b'
    MESSAGE = 109  # 'm'
    REFUSED = 120  # 'x': the long way reads it

cdef char *CAPTURE_KINDS = b".tntttmmmmnntbnnnnnnnmtnm.....xnnnn"
cdef char *MESSAGE_KINDS = b".nbnnnbtm"
cdef char *LEAF_KINDS = b".tbtn"
cdef char *METADATA_KINDS = b".tb"


cdef struct Whole:
    uint64_t ending, requests, responses  # as it says
    uint64_t asked, answered, size  # as counted; bytes of the responses
    uint64_t start_ns, duration_ns
    bint has_key
    Reader key  # of the hashes


def same(bytes primary not None, bytes shadow not None):
    """Of two serialised captures: (when the primary's call began, how long it took and the shadow's, bytes of the responses).

    Unix time and nanoseconds. None where they are not the same in all that is compared, where the primary's is not whole or its
    call did not come to its end, or where nobody can tell here.
    """
    cdef Reader ours = reader_of(<const unsigned char *>primary, len(primary))
    cdef Reader theirs = reader_of(<const unsigned char *>shadow, len(shadow))
    cdef Whole whole
    cdef uint64_t shadow_ns = 0
    if not _compare(&ours, &theirs, &whole, &shadow_ns):
        return None
    return whole.start_ns, whole.duration_ns, shadow_ns, whole.size


cdef bint _compare(Reader *ours, Reader *theirs, Whole *whole, uint64_t *shadow_ns) noexcept nogil:
    cdef Field one, other
    cdef bint more, both
    whole.ending = whole.requests = whole.responses = whole.asked = whole.answered = whole.size = 0
    whole.start_ns = whole.duration_ns = 0
    whole.has_key = False
    one.number = other.number = 0
    while True:
        more = left(ours) > 0
        if not _next(ours, &one, &whole.start_ns, &whole.duration_ns):
            return False
        if not _next_of_shadow(theirs, &other, shadow_ns):
            return False
        if one.number != other.number or one.kind != other.kind:
            return False
        if one.number == 0:
            break
        if one.kind == VARINT:
            if one.value != other.value or not _number(whole, &one):
                return False
        elif one.kind == BYTES:
            if one.number == MESSAGES:
                if not _message(&one.body, &other.body, whole):
                    return False
            elif not same_bytes(&one.body, &other.body):
                return False
            elif one.number == OMITTED:
                return False
            elif one.number == PRIVATE_LEAVES and not _leaf(one.body, whole):
                return False
        else:
            return False
    return (
        (whole.ending == ENDING_RETURNED or whole.ending == ENDING_RAISED)
        and whole.asked + whole.answered <= MESSAGES_MAX
        and whole.asked == whole.requests
        and whole.answered == whole.responses
    )


cdef bint _next(Reader *reader, Field *field, uint64_t *start_ns, uint64_t *duration_ns) noexcept nogil:
    """The next field that is compared; number 0: there is none."""
    while left(reader):
        if not read_field(reader, field):
            return False
        if field.number == START_UNIX_NS or field.number == DURATION_NS:
            if field.kind != VARINT:
                return False
            if field.number == START_UNIX_NS:
                start_ns[0] = field.value
            else:
                duration_ns[0] = field.value
        elif field.number == DEADLINE_NS or field.number == ATTEMPT:
            if field.kind != VARINT:
                return False
        elif field.number == REQUEST_METADATA or field.number == EXCEPTION_TYPE:
            if field.kind != BYTES:
                return False
        else:
            return field.number <= LAST
    field.number = 0
    field.kind = 0
    return True


cdef inline bint _next_of_shadow(Reader *reader, Field *field, uint64_t *duration_ns) noexcept nogil:
    cdef uint64_t start_ns
    return _next(reader, field, &start_ns, duration_ns)


cdef inline bint _number(Whole *whole, const Field *field) noexcept nogil:
    if field.number == ENDING:
        whole.ending = field.value
    elif field.number == REQUEST_COUNT:
        whole.requests = field.value
    elif field.number == RESPONSE_COUNT:
        whole.responses = field.value
    else:
        return field.number != PRIVATE_LEAVES and field.number != OMITTED and field.number != NOT_SAMPLED
    return True


cdef bint _message(Reader *ours, Reader *theirs, Whole *whole) noexcept nogil:
    """Whether two captured messages are the same and there; counts them."""
    cdef Field one, other
    cdef uint64_t direction = 0, size = 0
    one.number = other.number = 0
    while True:
        if not _next_of_message(ours, &one) or not _next_of_message(theirs, &other):
            return False
        if one.number != other.number or one.kind != other.kind:
            return False
        if one.number == 0:
            break
        if one.kind == VARINT:
            if one.value != other.value:
                return False
            if one.number == DIRECTION:
                direction = one.value
            elif one.number == ORIGINAL_SIZE:
                size = one.value
            else:
                return False
        elif one.kind != BYTES or not same_bytes(&one.body, &other.body):
            return False
        elif one.number == HASH:
            return False
        elif one.number == MESSAGE_LEAVES and not _leaf(one.body, whole):
            return False
    if direction == DIRECTION_REQUEST:
        whole.asked += 1
    else:
        whole.answered += 1
        whole.size += size
    return True


cdef inline bint _next_of_message(Reader *reader, Field *field) noexcept nogil:
    while left(reader):
        if not read_field(reader, field):
            return False
        if field.number != OFFSET_NS:
            return field.number <= MESSAGE_LEAVES
        if field.kind != VARINT:
            return False
    field.number = 0
    field.kind = 0
    return True


cdef bint _leaf(Reader leaf, Whole *whole) noexcept nogil:
    """Whether its hash, if it has one, was made with the key of those before."""
    cdef Field field
    cdef Reader key = reader_of(leaf.at, 0)
    cdef bint hashed = False
    while left(&leaf):
        if not read_field(&leaf, &field):
            return False
        if field.number == HMAC:
            if field.kind != BYTES:
                return False
            hashed = left(&field.body) > 0
        elif field.number == KEY_ID:
            if field.kind != BYTES:
                return False
            key = field.body
    if not hashed:
        return True
    if whole.has_key:
        return same_bytes(&key, &whole.key)
    whole.has_key = True
    whole.key = key
    return True


cdef bint plain(Reader capture, Facts *facts) noexcept nogil:
    """Whether protobuf would read this capture of a call that was served, all texts being ASCII; and what it says of it."""
    cdef Field field
    cdef char kind
    facts.attempt = facts.outbound_calls = 0
    facts.status_code = 0
    while left(&capture):
        if not read_field(&capture, &field):
            return False
        kind = CAPTURE_KINDS[field.number] if field.number <= LAST else SKIPPED
        if not _as_declared(kind, &field):
            return False
        if kind == MESSAGE and not _plain_message(field.number, field.body):
            return False
        if field.number == ATTEMPT:
            facts.attempt = <uint32_t>field.value
        elif field.number == STATUS_CODE:
            facts.status_code = <int32_t>field.value
        elif field.number == OUTBOUND_CALLS:
            facts.outbound_calls = <uint32_t>field.value
    return True


cdef inline bint _as_declared(char kind, const Field *field) noexcept nogil:
    if kind == SKIPPED:
        return True
    if kind == NUMBER:
        return field.kind == VARINT
    if kind == TEXT:
        return field.kind == BYTES and is_ascii(&field.body)
    return kind != REFUSED and field.kind == BYTES


cdef bint _plain_message(uint32_t number, Reader message) noexcept nogil:
    """One that stands in a capture under this number."""
    cdef Field field
    cdef char kind
    while left(&message):
        if not read_field(&message, &field):
            return False
        kind = _kind_below(number, field.number)
        if not _as_declared(kind, &field):
            return False
        if kind == MESSAGE and not _plain_message(PRIVATE_LEAVES, field.body):
            return False
    return True


cdef inline char _kind_below(uint32_t outer, uint32_t number) noexcept nogil:
    if outer == MESSAGES:
        return MESSAGE_KINDS[number] if number <= MESSAGE_LEAVES else SKIPPED
    if outer == OMITTED:
        return NUMBER if number <= OMITTED_LAST else SKIPPED
    if outer == PRIVATE_LEAVES:
        return LEAF_KINDS[number] if number <= LEAF_LAST else SKIPPED
    return METADATA_KINDS[number] if number <= METADATA_LAST else SKIPPED
