# PostgreSQL's text format, as an unprepared client uses it: what it sends as parameters and gets in rows.
from libc.stdint cimport int64_t, uint8_t

cdef enum:
    UUID_TEXT = 37  # with its NUL
    INT_TEXT = 21

cdef void put_uuid_text(char *out, const uint8_t *value) noexcept nogil
cdef bint get_uuid_text(uint8_t *out, const char *text, int length) noexcept nogil  # False: it is none
cdef int put_int_text(char *out, int64_t value) noexcept nogil  # digits written; a NUL after them
cdef int64_t get_int_text(const char *text, int length) noexcept nogil
# A field of a composite value's text, by its number from 0; NULL where it has none, or where the field is quoted.
cdef const char *composite_field(const char *text, int length, int number, int *field_length) noexcept nogil

cdef class Strings:  # with their NUL, at addresses that stay
    cdef const char **at
    cdef object _texts
