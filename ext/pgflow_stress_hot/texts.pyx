"""PostgreSQL's text format of uuid, integers and composite values, to and fro."""

from libc.stdlib cimport free, malloc

cdef const char *HEX = b"0123456789abcdef"
cdef enum:
    MOST_DIGITS = 18  # of a number that finds room in 64 bits, whatever its digits


cdef void put_uuid_text(char *out, const uint8_t *value) noexcept nogil:
    cdef int i
    for i in range(16):
        if i == 4 or i == 6 or i == 8 or i == 10:
            out[0] = c'-'
            out += 1
        out[0] = HEX[value[i] >> 4]
        out[1] = HEX[value[i] & 15]
        out += 2
    out[0] = 0


cdef int nibble(char digit) noexcept nogil:
    if c'0' <= digit <= c'9':
        return digit - c'0'
    return digit - c'a' + 10 if c'a' <= digit <= c'f' else -1


cdef bint get_uuid_text(uint8_t *out, const char *text, int length) noexcept nogil:
    cdef int i, high, low, at = 0
    if length != UUID_TEXT - 1:
        return False
    for i in range(16):
        if i == 4 or i == 6 or i == 8 or i == 10:
            if text[at] != c'-':
                return False
            at += 1
        high = nibble(text[at])
        low = nibble(text[at + 1])
        if high < 0 or low < 0:
            return False
        out[i] = <uint8_t>(high << 4 | low)
        at += 2
    return True


cdef int put_int_text(char *out, int64_t value) noexcept nogil:
    cdef char digits[20]
    cdef int count = 0, written = 0
    while True:
        digits[count] = <char>(c'0' + value % 10)
        value //= 10
        count += 1
        if value == 0:
            break
    while count > 0:
        count -= 1
        out[written] = digits[count]
        written += 1
    out[written] = 0
    return written


cdef int64_t get_int_text(const char *text, int length) noexcept nogil:
    # Digits alone: ids and indexes, which are never below 0.
    cdef int i
    cdef int64_t value = 0
    if not 0 < length <= MOST_DIGITS:
        return -1
    for i in range(length):
        if not c'0' <= text[i] <= c'9':
            return -1
        value = 10 * value + text[i] - c'0'
    return value


cdef const char *composite_field(const char *text, int length, int number, int *field_length) noexcept nogil:
    cdef int at = 1, begin
    cdef bint quoted
    if length < 2 or text[0] != c'(':
        return NULL
    while True:
        begin = at
        quoted = False
        while at < length and (quoted or (text[at] != c',' and text[at] != c')')):
            if text[at] == c'"':
                quoted = not quoted  # a doubled one is two of these
            elif text[at] == c'\\':
                at += 1
            at += 1
        if at >= length:
            return NULL
        if number == 0:
            field_length[0] = at - begin
            return text + begin if text[begin] != c'"' else NULL
        if text[at] == c')':
            return NULL
        number -= 1
        at += 1


cdef class Strings:
    """Texts as C has them.

    Args:
        texts: bytes each, without a NUL.
    """

    def __cinit__(self, list texts not None):
        cdef Py_ssize_t i
        cdef bytes text
        self._texts = list(texts)
        self.at = <const char **>malloc(max(1, len(texts)) * sizeof(char *))
        if self.at == NULL:
            raise MemoryError("no room for texts")
        for i, text in enumerate(self._texts):
            self.at[i] = text

    def __dealloc__(self):
        free(self.at)


def uuid_text(bytes value not None):
    """16 bytes as PostgreSQL writes a uuid."""
    cdef char out[37]
    if len(value) != 16:
        raise ValueError("16 bytes")
    put_uuid_text(out, <const uint8_t *><const char *>value)
    return <bytes>out


def uuid_bytes(bytes text not None):
    """The 16 bytes of a uuid's text; None where it is none."""
    cdef uint8_t out[16]
    return (<char *>out)[:16] if get_uuid_text(out, text, <int>len(text)) else None


def int_text(int64_t value):
    """An integer of 0 and more as PostgreSQL writes it."""
    cdef char out[21]
    if value < 0:
        raise ValueError("below 0")
    put_int_text(out, value)
    return <bytes>out


def int_of(bytes text not None):
    """The integer of a text of digits alone; -1 where it is none, or has more than 18 of them."""
    return get_int_text(text, <int>len(text))


def field_of(bytes composite not None, int number):
    """A field of a composite value's text; None where it has none, or where it is quoted."""
    cdef int length = 0
    cdef const char *found = composite_field(composite, <int>len(composite), number, &length)
    return found[:length] if found != NULL else None
