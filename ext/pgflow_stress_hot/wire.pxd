# The binary wire format of the parameters and results that the hot path exchanges (PostgreSQL's typsend/typreceive).
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t

cdef extern from "<arpa/inet.h>" nogil:
    unsigned int htonl(unsigned int v) noexcept
    unsigned int ntohl(unsigned int v) noexcept

cdef extern from "<endian.h>" nogil:
    unsigned long long htobe64(unsigned long long v) noexcept
    unsigned long long be64toh(unsigned long long v) noexcept

cdef extern from "<string.h>" nogil:
    void *copy_bytes "memcpy"(void *to, const void *source, size_t length) noexcept

cdef enum:  # type oids
    OID_INT8 = 20
    OID_INT4 = 23
    OID_TEXT = 25
    OID_UUID = 2950
    OID_JSONB = 3802

cdef inline void put_int4(uint8_t *at, int32_t value) noexcept nogil:
    cdef unsigned int swapped = htonl(<unsigned int>value)
    copy_bytes(at, &swapped, 4)

cdef inline void put_int8(uint8_t *at, int64_t value) noexcept nogil:
    cdef unsigned long long swapped = htobe64(<unsigned long long>value)
    copy_bytes(at, &swapped, 8)

cdef inline int16_t get_int2(const char *at) noexcept nogil:
    return <int16_t>(<unsigned char>at[0] << 8 | <unsigned char>at[1])

cdef inline int32_t get_int4(const char *at) noexcept nogil:
    cdef unsigned int swapped
    copy_bytes(&swapped, at, 4)
    return <int32_t>ntohl(swapped)

cdef inline int64_t get_int8(const char *at) noexcept nogil:
    cdef unsigned long long swapped
    copy_bytes(&swapped, at, 8)
    return <int64_t>be64toh(swapped)

cdef struct Buffer:  # one parameter; made before the window, filled inside it
    uint8_t *bytes
    int64_t capacity
    int length

cdef int buffer_make(Buffer *b, int64_t capacity) except -1
cdef void buffer_free(Buffer *b) noexcept

# One array of a result, read element by element. The server's word is taken for its lengths, not for its shape.
cdef struct ArrayReader:
    const char *at  # the next element's length
    const char *end
    int left  # elements not read yet

cdef inline ArrayReader array_read(const char *bytes, int length) noexcept nogil:
    # Of one dimension, as array_agg gives it; anything else has no elements.
    cdef ArrayReader reader
    reader.at = bytes + 20
    reader.end = bytes + length
    reader.left = get_int4(bytes + 12) if length >= 20 and get_int4(bytes) == 1 else 0
    return reader

cdef inline const char *array_next(ArrayReader *reader, int *length) noexcept nogil:
    # NULL: a NULL element, or none left.
    cdef const char *element = reader.at + 4
    length[0] = -1
    if reader.left <= 0 or element > reader.end:
        return NULL
    length[0] = get_int4(reader.at)
    reader.left -= 1
    reader.at = element + (length[0] if length[0] > 0 else 0)
    return element if length[0] >= 0 and reader.at <= reader.end else NULL

# An array: header of 20 bytes, then a length and the bytes of each element. The writer guarantees room.
cdef inline void array_begin(Buffer *b, int oid, int count) noexcept nogil:
    put_int4(b.bytes, 1 if count > 0 else 0)
    put_int4(b.bytes + 4, 0)
    put_int4(b.bytes + 8, oid)
    b.length = 12
    if count > 0:
        put_int4(b.bytes + 12, count)
        put_int4(b.bytes + 16, 1)
        b.length = 20

cdef inline void array_put(Buffer *b, const void *data, int length) noexcept nogil:
    put_int4(b.bytes + b.length, length)
    copy_bytes(b.bytes + b.length + 4, data, length)
    b.length += 4 + length

cdef inline void array_put_int4(Buffer *b, int32_t value) noexcept nogil:
    put_int4(b.bytes + b.length, 4)
    put_int4(b.bytes + b.length + 4, value)
    b.length += 8

cdef inline void array_put_int8(Buffer *b, int64_t value) noexcept nogil:
    put_int4(b.bytes + b.length, 8)
    put_int8(b.bytes + b.length + 4, value)
    b.length += 12
