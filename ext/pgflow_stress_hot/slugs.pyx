"""Names of flows and steps as C has them: by index, and found again in what the server answers."""

from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy


cdef uint32_t hash_of(const char *name, int length) noexcept nogil:
    # FNV-1a, 32 bits (Fowler, Noll, Vo).
    cdef uint32_t value = 2166136261u
    cdef int i
    for i in range(length):
        value = (value ^ <unsigned char>name[i]) * 16777619u
    return value


cdef int32_t slugs_find(const Slugs *s, const char *name, int length) noexcept nogil:
    cdef uint32_t at = hash_of(name, length) & s.mask
    cdef int32_t index
    while True:
        index = s.slots[at]
        if index < 0:
            return -1
        if slug_length(s, index) == length and memcmp(slug_at(s, index), name, length) == 0:
            return index
        at = (at + 1) & s.mask


cdef class SlugTable:
    """Names, each found again by its bytes.

    Args:
        names: bytes each, distinct, at least one.
    Raises:
        ValueError: none, or one twice.
    """

    def __cinit__(self, list names not None):
        cdef int64_t total = sum(len(name) for name in names)
        cdef uint32_t size = 2
        cdef bytes name
        cdef int32_t i
        cdef uint32_t at
        if not names:
            raise ValueError("need at least one name")
        while size < 2 * <uint32_t>len(names):
            size *= 2
        self.slugs.text = <char *>malloc(total + 1)
        self.slugs.offsets = <int64_t *>malloc((len(names) + 1) * sizeof(int64_t))
        self.slugs.slots = <int32_t *>malloc(size * sizeof(int32_t))
        if self.slugs.text == NULL or self.slugs.offsets == NULL or self.slugs.slots == NULL:
            raise MemoryError("no room for names")
        self.slugs.mask = size - 1
        self.slugs.count = 0
        self.slugs.longest = 0
        self.slugs.offsets[0] = 0
        for at in range(size):
            self.slugs.slots[at] = -1
        for i, name in enumerate(names):
            if slugs_find(&self.slugs, name, len(name)) >= 0:
                raise ValueError(f"name given twice: {name!r}")
            memcpy(self.slugs.text + self.slugs.offsets[i], <const char *>name, len(name))
            self.slugs.offsets[i + 1] = self.slugs.offsets[i] + len(name)
            self.slugs.count = i + 1
            if len(name) > self.slugs.longest:
                self.slugs.longest = <int32_t>len(name)
            at = hash_of(name, len(name)) & self.slugs.mask
            while self.slugs.slots[at] >= 0:
                at = (at + 1) & self.slugs.mask
            self.slugs.slots[at] = i

    def __dealloc__(self):
        free(self.slugs.text)
        free(self.slugs.offsets)
        free(self.slugs.slots)

    def __len__(self):
        return self.slugs.count

    def find(self, bytes name not None):
        """Index of a name, or -1."""
        return slugs_find(&self.slugs, name, len(name))
