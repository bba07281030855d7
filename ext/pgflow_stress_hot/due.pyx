"""What is due when: a binary heap (Williams 1964) that allocates nothing once it is made."""

from libc.stdlib cimport free, malloc


cdef int due_make(DueHeap *heap, int64_t capacity) except -1:
    heap.items = <Due *>malloc(capacity * sizeof(Due))
    if heap.items == NULL:
        raise MemoryError(f"no room for {capacity} that are due")
    heap.count = 0
    heap.capacity = capacity
    heap.put = 0
    return 0


cdef void due_free(DueHeap *heap) noexcept:
    free(heap.items)
    heap.items = NULL


cdef inline bint before(const Due *left, const Due *right) noexcept nogil:
    return left.at_ns < right.at_ns or (left.at_ns == right.at_ns and left.number < right.number)


cdef void due_put(DueHeap *heap, int64_t at_ns, int64_t what) noexcept nogil:
    cdef int64_t at = heap.count
    cdef int64_t parent
    cdef Due new
    new.at_ns = at_ns
    new.number = heap.put
    new.what = what
    heap.put += 1
    heap.count += 1
    while at > 0:
        parent = (at - 1) // 2
        if not before(&new, &heap.items[parent]):
            break
        heap.items[at] = heap.items[parent]
        at = parent
    heap.items[at] = new


cdef int64_t due_take(DueHeap *heap) noexcept nogil:
    cdef int64_t what = heap.items[0].what
    cdef int64_t at = 0
    cdef int64_t child
    cdef Due last
    heap.count -= 1
    last = heap.items[heap.count]
    while True:
        child = 2 * at + 1
        if child >= heap.count:
            break
        if child + 1 < heap.count and before(&heap.items[child + 1], &heap.items[child]):
            child += 1
        if not before(&heap.items[child], &last):
            break
        heap.items[at] = heap.items[child]
        at = child
    heap.items[at] = last
    return what


cdef class DueTimes:
    """The heap as Python sees it, for tests.

    Args:
        capacity: most that are due at once.
    """

    cdef DueHeap heap

    def __cinit__(self, int64_t capacity):
        if capacity < 1:
            raise ValueError("capacity")
        due_make(&self.heap, capacity)

    def __dealloc__(self):
        due_free(&self.heap)

    def __len__(self):
        return self.heap.count

    def put(self, int64_t at_ns, int64_t what):
        """Something is due then.

        Raises:
            IndexError: no room.
        """
        if self.heap.count == self.heap.capacity:
            raise IndexError("no room")
        due_put(&self.heap, at_ns, what)

    def take(self):
        """(when, what) of the first that is due, which is not due any more.

        Raises:
            IndexError: nothing is.
        """
        cdef int64_t at_ns = due_first_ns(&self.heap, 0)
        if self.heap.count == 0:
            raise IndexError("nothing is due")
        return at_ns, due_take(&self.heap)
