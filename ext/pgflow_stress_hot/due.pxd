# What is due when: a binary heap in memory made before the window. Of one moment, what was put in first comes first.
from libc.stdint cimport int64_t

cdef struct Due:
    int64_t at_ns
    int64_t number  # in the order put in
    int64_t what

cdef struct DueHeap:
    Due *items
    int64_t count
    int64_t capacity
    int64_t put  # so far

cdef int due_make(DueHeap *heap, int64_t capacity) except -1
cdef void due_free(DueHeap *heap) noexcept
cdef void due_put(DueHeap *heap, int64_t at_ns, int64_t what) noexcept nogil  # the caller guarantees room
cdef int64_t due_take(DueHeap *heap) noexcept nogil  # the first one; there must be one

cdef inline int64_t due_first_ns(const DueHeap *heap, int64_t otherwise_ns) noexcept nogil:
    return heap.items[0].at_ns if heap.count > 0 else otherwise_ns
