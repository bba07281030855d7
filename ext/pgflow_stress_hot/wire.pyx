"""Parameter buffers in PostgreSQL's binary format: made before the window, filled inside it."""

from libc.stdlib cimport free, malloc


cdef int buffer_make(Buffer *b, int64_t capacity) except -1:
    b.bytes = <uint8_t *>malloc(capacity if capacity > 0 else 1)
    if b.bytes == NULL:
        raise MemoryError(f"no {capacity} bytes for a statement's parameter")
    b.capacity = capacity
    b.length = 0
    return 0


cdef void buffer_free(Buffer *b) noexcept:
    free(b.bytes)
    b.bytes = NULL


def encode_array(int oid, list elements not None):
    """An array parameter's bytes: elements are int (int4, int8) or bytes; what tests hold against the server."""
    cdef Buffer b
    cdef bytes element
    sizes = sum(12 if isinstance(e, int) else 4 + len(e) for e in elements)
    buffer_make(&b, 20 + sizes)
    try:
        array_begin(&b, oid, len(elements))
        for item in elements:
            if oid == OID_INT4:
                array_put_int4(&b, item)
            elif oid == OID_INT8:
                array_put_int8(&b, item)
            else:
                element = item
                array_put(&b, <const char *>element, len(element))
        return b.bytes[:b.length]
    finally:
        buffer_free(&b)


def decode_array(bytes array not None):
    """The elements of an array up to its first NULL, as the hot path reads an answer: until none is left or whole."""
    cdef ArrayReader reader = array_read(array, <int>len(array))
    cdef const char *element
    cdef int length
    found = []
    while True:
        element = array_next(&reader, &length)
        if element == NULL:
            return found
        found.append(element[:length])
