from libc.stdint cimport int32_t, int64_t, uint32_t

cdef struct Slugs:  # names by index, and the index of a name
    char *text  # all names, one after another
    int64_t *offsets  # [count + 1]
    int32_t *slots  # [mask + 1]: index or -1
    uint32_t mask
    int32_t count
    int32_t longest

cdef int32_t slugs_find(const Slugs *s, const char *name, int length) noexcept nogil  # -1: not one of them

cdef inline const char *slug_at(const Slugs *s, int64_t index) noexcept nogil:
    return s.text + s.offsets[index]

cdef inline int slug_length(const Slugs *s, int64_t index) noexcept nogil:
    return <int>(s.offsets[index + 1] - s.offsets[index])

cdef class SlugTable:
    cdef Slugs slugs
