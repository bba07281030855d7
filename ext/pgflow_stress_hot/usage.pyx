"""CPU time used, and time spent waiting for a CPU."""

from posix.fcntl cimport O_CLOEXEC, O_RDONLY, open
from posix.resource cimport RUSAGE_SELF, getrusage, rusage
from posix.time cimport CLOCK_THREAD_CPUTIME_ID, clock_gettime, timespec
from posix.unistd cimport close, pread

from pgflow_stress_hot.layout cimport STOP_NOW, W_CPU_FROM_NS, W_CPU_TO_NS, W_RUN_QUEUE_NS, W_WAITED_FOR_NS
from pgflow_stress_hot.recorder cimport observe, publish


cdef int64_t cpu_ns() noexcept nogil:
    cdef rusage used
    getrusage(RUSAGE_SELF, &used)
    return (<int64_t>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1_000_000_000
            + <int64_t>(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1000)


cdef int64_t thread_cpu_ns() noexcept nogil:
    cdef timespec stamp
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &stamp)
    return <int64_t>stamp.tv_sec * 1_000_000_000 + stamp.tv_nsec


cdef int64_t run_queue_ns(int schedstat) noexcept nogil:
    # Runnable and not run so far: the second number of /proc/self/schedstat; -1: not told.
    cdef char text[96]
    cdef ssize_t length = pread(schedstat, text, sizeof(text), 0) if schedstat >= 0 else -1
    cdef ssize_t i = 0
    cdef int64_t value = 0
    while i < length and text[i] != c' ':
        i += 1
    if i >= length:
        return -1
    i += 1
    while i < length and c'0' <= text[i] <= c'9':
        value = 10 * value + text[i] - c'0'
        i += 1
    return value


cdef int64_t usage_begin(int64_t *words, int schedstat) noexcept nogil:
    cdef int64_t queued_ns = run_queue_ns(schedstat)
    words[W_CPU_FROM_NS] = cpu_ns()
    return queued_ns


cdef void usage_end(int64_t *words, int schedstat, int64_t queued_from_ns, int64_t waited_for_ns) noexcept nogil:
    words[W_WAITED_FOR_NS] = waited_for_ns
    words[W_RUN_QUEUE_NS] = run_queue_ns(schedstat) - queued_from_ns if queued_from_ns >= 0 else -1
    publish(&words[W_CPU_TO_NS], cpu_ns())


cdef void spend(int64_t delay_ns, int64_t *stop) noexcept nogil:
    cdef int64_t until_ns
    if delay_ns == 0:
        return
    until_ns = thread_cpu_ns() + delay_ns
    while thread_cpu_ns() < until_ns and observe(stop) != STOP_NOW:
        pass


cdef class Schedstat:
    """This process's /proc/self/schedstat, open; closed with the object."""

    def __cinit__(self):
        self.file = open(b"/proc/self/schedstat", O_RDONLY | O_CLOEXEC)

    def __dealloc__(self):
        if self.file >= 0:
            close(self.file)
