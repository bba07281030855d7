"""How long simulated work takes, decided by the seed; scenario.durations has the same for all tasks at once."""

from libc.math cimport M_PI, cos, exp, log, sqrt

from pgflow_stress_hot.account cimport mixed

cdef enum:
    MOST_NS = 86_400_000_000_000

cdef uint64_t GOLDEN = 0x9E3779B97F4A7C15
cdef double UNIT = 1.0 / 9007199254740992.0  # 2 ** -53


cdef inline double uniform(uint64_t number) noexcept nogil:
    # In (0, 1]: its logarithm is finite.
    return <double>((number >> 11) + 1) * UNIT


cdef int64_t duration_ns(Durations d, int32_t step, int64_t place, int64_t attempt) noexcept nogil:
    cdef double first, second, factor = 1.0
    cdef double drawn_ns
    cdef uint64_t number
    if d.kinds[step] != DURATION_CONSTANT:
        number = mixed(<uint64_t>(place * 16 + attempt) + d.seed)
        first = uniform(mixed(number + GOLDEN))
        if d.kinds[step] == DURATION_EXPONENTIAL:
            factor = -log(first)
        else:  # Box and Muller 1958
            second = uniform(mixed(number + 2 * GOLDEN))
            factor = exp(d.sigma[step] * sqrt(-2 * log(first)) * cos(2 * M_PI * second))
    drawn_ns = d.scale_ns[step] * factor
    return MOST_NS if drawn_ns >= MOST_NS else <int64_t>drawn_ns


cdef class Durations:
    """What a task's work takes, by step.

    Args:
        kinds: int64[steps]: 0 constant, 1 exponential, 2 lognormal.
        scale_ns: float64[steps]: the constant, the mean, the median.
        sigma: float64[steps]: of a lognormal one's logarithm.
        seed: of all that is drawn.
    """

    def __cinit__(self, const int64_t[::1] kinds not None, const double[::1] scale_ns not None,
                  const double[::1] sigma not None, uint64_t seed):
        if not 0 < len(kinds) == len(scale_ns) == len(sigma):
            raise ValueError("kinds, scale_ns and sigma are of the same steps")
        self._owners = (kinds, scale_ns, sigma)
        self.kinds = &kinds[0]
        self.scale_ns = &scale_ns[0]
        self.sigma = &sigma[0]
        self.steps = len(kinds)
        self.seed = seed

    def of_task(self, int32_t step, int64_t place, int64_t attempt):
        """How long an attempt of the task at a place of the ledger takes, ns."""
        if not 0 <= step < self.steps:
            raise ValueError(f"no step {step}")
        return duration_ns(self, step, place, attempt)
