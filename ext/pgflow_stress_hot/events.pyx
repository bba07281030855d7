"""The books of one observer: which events of which runs were received, when, and after what.

pgflow names a run by its topic, pgflow:run:<run id>, and an event by run:<what> or step:<slug>:<what>.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcmp, memcpy, memset

from pgflow_stress_hot.account cimport run_index_of
from pgflow_stress_hot.histogram cimport histogram_record
from pgflow_stress_hot.layout cimport (
    EB_COUNT, EB_EARLY, E_RUN_COMPLETED, E_RUN_PLACES, E_RUN_STARTED, E_STEP_COMPLETED, E_STEP_FAILED, E_STEP_PLACES,
    E_STEP_SKIPPED, E_STEP_STARTED, HS_SAMPLES, MOST_STRAYS, OP_DELIVER, R_COUNT, R_SENT_NS, ST_OK, STRAY_TEXT,
    W_FIRST_RECEIVED_NS, W_LAST_DELIVERY_NS, W_LAST_RECEIVED_NS, W_RECEIVED, W_RECEIVED_FOREIGN, W_RECEIVED_STRAY,
    W_RECEIVED_UNTIMED, W_STRAYS_LEFT_OUT,
)
from pgflow_stress_hot.recorder cimport observe, publish, record_row
from pgflow_stress_hot.slugs cimport slugs_find
from pgflow_stress_hot.wire cimport get_int2, get_int4

cdef const char *TOPIC = b"pgflow:run:"
cdef enum:
    TOPIC_LENGTH = 11
    UUID_TEXT = 36


cdef inline int hex_digit(char c) noexcept nogil:
    if 48 <= c <= 57:
        return c - 48
    if 97 <= c <= 102:
        return c - 87
    if 65 <= c <= 70:
        return c - 55
    return -1


cdef bint read_uuid(const char *text, uint8_t *out) noexcept nogil:
    # 8-4-4-4-12 digits; False where it is none.
    cdef int at = 0, high, low, i
    for i in range(16):
        if at == 8 or at == 13 or at == 18 or at == 23:
            if text[at] != 45:
                return False
            at += 1
        high = hex_digit(text[at])
        low = hex_digit(text[at + 1])
        if high < 0 or low < 0:
            return False
        out[i] = <uint8_t>(high << 4 | low)
        at += 2
    return True


cdef int what_of(const char *text, int length) noexcept nogil:
    # started 0, completed 1, failed 2, skipped 3; -1: none of them
    if length == 7 and memcmp(text, b"started", 7) == 0:
        return 0
    if length == 9 and memcmp(text, b"completed", 9) == 0:
        return 1
    if length == 6 and memcmp(text, b"failed", 6) == 0:
        return 2
    if length == 7 and memcmp(text, b"skipped", 7) == 0:
        return 3
    return -1


cdef int64_t event_find(const EventBooks *b, const char *topic, int topic_length, const char *name, int name_length,
                        Event *event) noexcept nogil:
    cdef uint8_t run_id[16]
    cdef int what, colon
    cdef const int64_t *steps
    event.run = -1
    event.place = EVENT_FOREIGN
    if topic_length != TOPIC_LENGTH + UUID_TEXT or memcmp(topic, TOPIC, TOPIC_LENGTH) != 0:
        return EVENT_FOREIGN
    if not read_uuid(topic + TOPIC_LENGTH, run_id):
        return EVENT_FOREIGN
    event.run = run_index_of(b.books, <const char *>run_id)
    if event.run < 0:
        return EVENT_FOREIGN
    event.place = EVENT_STRAY
    event.step = 0
    if name_length > 4 and memcmp(name, b"run:", 4) == 0:
        what = what_of(name + 4, name_length - 4)
        if not 0 <= what < E_RUN_PLACES:
            return EVENT_STRAY
        event.kind = E_RUN_STARTED + what
        event.place = event.run * b.places + what
        return event.place
    if name_length < 6 or memcmp(name, b"step:", 5) != 0:
        return EVENT_STRAY
    colon = name_length - 1
    while colon > 5 and name[colon] != 58:
        colon -= 1
    what = what_of(name + colon + 1, name_length - colon - 1)
    if colon <= 5 or what < 0:
        return EVENT_STRAY
    event.step = slugs_find(b.books.step_slugs, name + 5, colon - 5)
    steps = &b.books.flow_steps[2 * b.books.run_flow[event.run]]
    if not steps[0] <= event.step < steps[0] + steps[1]:
        return EVENT_STRAY
    event.kind = E_STEP_STARTED + what
    event.place = event.run * b.places + E_RUN_PLACES + (event.step - steps[0]) * E_STEP_PLACES + what
    return event.place


cdef void event_stray(const EventBooks *b, int64_t run, const char *name, int length) noexcept nogil:
    # Kept by name up to a number of different ones; beyond it only counted.
    cdef int64_t *words = b.books.recorder.words
    cdef int i
    cdef Stray *stray
    cdef int kept = min(length, STRAY_TEXT - 1)
    publish(&words[W_RECEIVED_STRAY], words[W_RECEIVED_STRAY] + 1)
    for i in range(MOST_STRAYS):
        stray = &b.strays[i]
        if stray.count == 0:
            stray.run_index = run
            memset(stray.event, 0, STRAY_TEXT)
            memcpy(stray.event, name, kept)
        elif stray.run_index != run or memcmp(stray.event, name, kept) != 0 or stray.event[kept] != 0:
            continue
        stray.count += 1
        return
    publish(&words[W_STRAYS_LEFT_OUT], words[W_STRAYS_LEFT_OUT] + 1)


cdef inline bint has(const EventBooks *b, int64_t run, int64_t place) noexcept nogil:
    return b.received[run * b.places + place] & EB_COUNT != 0


cdef inline int64_t step_place(const EventBooks *b, int64_t run, int64_t step, int kind) noexcept nogil:
    cdef int64_t first = b.books.flow_steps[2 * b.books.run_flow[run]]
    return E_RUN_PLACES + (step - first) * E_STEP_PLACES + kind - E_STEP_STARTED


cdef inline bint is_over(const EventBooks *b, int64_t run, int64_t step) noexcept nogil:
    return (has(b, run, step_place(b, run, step, E_STEP_COMPLETED))
            or has(b, run, step_place(b, run, step, E_STEP_SKIPPED)))


cdef bint parents_are_over(const EventBooks *b, int64_t run, int64_t step) noexcept nogil:
    cdef int64_t i
    for i in range(b.dep_offsets[step], b.dep_offsets[step + 1]):
        if not is_over(b, run, b.deps[i]):
            return False
    return True


cdef bint follows(const EventBooks *b, const Event *e) noexcept nogil:
    # Whether what an event follows from has been received: run:started first, parents before children, run:completed
    # last. run:failed has no order of its own: a type violation sends it before its step's (pgflow 0.8).
    cdef int64_t step, first
    cdef bint empty = e.kind >= E_RUN_PLACES and b.books.step_tasks[e.step] == 0
    if e.kind == E_RUN_STARTED:
        return True
    if not has(b, e.run, E_RUN_STARTED):
        return False
    if e.kind == E_STEP_STARTED or (e.kind == E_STEP_COMPLETED and empty):
        return parents_are_over(b, e.run, e.step)
    if e.kind == E_STEP_COMPLETED or e.kind == E_STEP_FAILED:
        return has(b, e.run, step_place(b, e.run, e.step, E_STEP_STARTED))
    if e.kind == E_RUN_COMPLETED:
        first = b.books.flow_steps[2 * b.books.run_flow[e.run]]
        for step in range(first, first + b.books.flow_steps[2 * b.books.run_flow[e.run] + 1]):
            if not is_over(b, e.run, step):
                return False
    return True


cdef int64_t run_sent_ns(const EventBooks *b, int64_t run) noexcept nogil:
    return observe(&b.books.runs[run * R_COUNT + R_SENT_NS])


cdef int64_t over_ns(const EventBooks *b, int64_t run, int64_t step) noexcept nogil:
    # When the statement was sent that ended a step: of several tasks the one sent last. 0: nobody stamped one of them.
    cdef int64_t first = b.books.first_task[run] + b.books.step_offsets[step]
    cdef int64_t i, stamp, last = 0
    if b.books.step_tasks[step] == 0:
        return ready_ns(b, run, step)
    for i in range(b.books.step_tasks[step]):
        stamp = observe(&b.books.caused[first + i])
        if stamp == 0:
            return 0
        if stamp > last:
            last = stamp
    return last


cdef int64_t ready_ns(const EventBooks *b, int64_t run, int64_t step) noexcept nogil:
    # When the statement was sent that made a step ready: its last parent's, else the run's start.
    cdef int64_t i, stamp, last = 0
    if b.dep_offsets[step] == b.dep_offsets[step + 1]:
        return run_sent_ns(b, run)
    for i in range(b.dep_offsets[step], b.dep_offsets[step + 1]):
        stamp = over_ns(b, run, b.deps[i])
        if stamp == 0:
            return 0
        if stamp > last:
            last = stamp
    return last


cdef int64_t cause_ns(const EventBooks *b, const Event *e) noexcept nogil:
    # When the statement that emitted an event was sent, CLOCK_MONOTONIC ns; 0: not known.
    cdef int64_t task, stamp, last
    if b.books.caused == NULL:
        return 0
    if e.kind == E_RUN_STARTED:
        return run_sent_ns(b, e.run)
    if e.kind == E_STEP_STARTED:
        return ready_ns(b, e.run, e.step)
    if e.kind == E_STEP_COMPLETED:
        return over_ns(b, e.run, e.step)
    if e.kind != E_RUN_COMPLETED:
        return 0  # a failure's or a skip's statement is stamped by nobody
    last = run_sent_ns(b, e.run)
    for task in range(b.books.first_task[e.run], b.books.first_task[e.run + 1]):
        stamp = observe(&b.books.caused[task])
        if stamp > last:
            last = stamp
    return last


cdef void event_receive(EventBooks *b, const Event *event, int64_t received_ns, int64_t lsn) noexcept nogil:
    cdef int64_t *words = b.books.recorder.words
    cdef uint8_t seen = b.received[event.place]
    cdef int64_t sent_ns = 0
    if seen & EB_COUNT == 0:
        if not follows(b, event):
            seen |= EB_EARLY
        sent_ns = cause_ns(b, event)
    if seen & EB_COUNT < EB_COUNT:
        seen += 1
    b.received[event.place] = seen
    if 0 < sent_ns <= received_ns:
        histogram_record(&b.books.recorder.histograms[OP_DELIVER + event.kind], received_ns - sent_ns, 1)
        if b.last_sent_ns[event.kind] == sent_ns:
            b.books.recorder.histograms[OP_DELIVER + event.kind].stats[HS_SAMPLES] -= 1
        b.last_sent_ns[event.kind] = sent_ns
        words[W_LAST_DELIVERY_NS] = received_ns - sent_ns
    else:
        publish(&words[W_RECEIVED_UNTIMED], words[W_RECEIVED_UNTIMED] + 1)
    record_row(b.books.recorder, sent_ns, received_ns, lsn, <int32_t>event.run,
               -1 if event.kind < E_RUN_PLACES else event.step, -1, -1, OP_DELIVER + event.kind, ST_OK, 1,
               <int32_t>b.books.run_flow[event.run])
    if words[W_FIRST_RECEIVED_NS] == 0:
        words[W_FIRST_RECEIVED_NS] = received_ns
    publish(&words[W_LAST_RECEIVED_NS], received_ns)
    publish(&words[W_RECEIVED], words[W_RECEIVED] + 1)


cdef class EventBook:
    """What one observer knows of its repetition's events.

    Args:
        account: the books that it reads the causes from, and whose region it writes.
        received: uint8[runs, 3 + 4 * most steps of a flow] of EventBit, of which it is the only writer.
        strays: uint8[256 * 256], events of our runs without a place.
        deps: for each step the indexes of its parents.
    Raises:
        ValueError: shapes that do not fit one another.
    """

    def __cinit__(self, Account account not None, uint8_t[:, ::1] received not None, uint8_t[::1] strays not None,
                  list deps not None):
        import numpy
        cdef int64_t steps = account.books.step_slugs.count, flow, most = 0
        cdef int64_t[::1] offsets
        cdef int64_t[::1] parents
        if len(deps) != steps:
            raise ValueError("parents for each step")
        for flow in range(account.books.flows):
            most = max(most, account.books.flow_steps[2 * flow + 1])
        if received.shape[0] != account.books.run_count or received.shape[1] != E_RUN_PLACES + E_STEP_PLACES * most:
            raise ValueError("received is not of this shape")
        if len(strays) != MOST_STRAYS * sizeof(Stray):
            raise ValueError("strays is not of this size")
        if any(not 0 <= parent < step for step, of in enumerate(deps) for parent in of):
            raise ValueError("parents come before their children")
        offsets = numpy.cumsum([0, *(len(of) for of in deps)], dtype=numpy.int64)
        parents = numpy.array([parent for of in deps for parent in of] or [0], dtype=numpy.int64)
        self._owners = (received, strays, offsets, parents)
        self.account = account
        self.books.books = &account.books
        self.books.places = received.shape[1]
        self.books.received = &received[0, 0]
        self.books.strays = <Stray *>&strays[0]
        self.books.dep_offsets = &offsets[0]
        self.books.deps = &parents[0]

    def find(self, bytes topic not None, bytes name not None):
        """(run index, place in all runs) of an event; place -1: of no run of ours, -2: of a name that is none."""
        cdef Event event
        cdef int64_t place = event_find(&self.books, topic, <int>len(topic), name, <int>len(name), &event)
        return event.run, place

    cdef bint _at(self, int64_t place, Event *event) except -1:
        cdef int64_t of_run = place % self.books.places
        if not 0 <= place < self.books.places * self.books.books.run_count:
            raise ValueError(f"no place {place}")
        event.place = place
        event.run = place // self.books.places
        event.step = 0
        if of_run >= E_RUN_PLACES:
            event.step = <int32_t>((of_run - E_RUN_PLACES) // E_STEP_PLACES
                                   + self.books.books.flow_steps[2 * self.books.books.run_flow[event.run]])
        event.kind = <int32_t>of_run
        if of_run >= E_RUN_PLACES:
            event.kind = E_STEP_STARTED + <int32_t>((of_run - E_RUN_PLACES) % E_STEP_PLACES)
        return True

    def cause_ns(self, int64_t place):
        """When the statement that sent the event at a place was sent, CLOCK_MONOTONIC ns; 0 where nobody knows."""
        cdef Event event
        self._at(place, &event)
        return cause_ns(&self.books, &event)

    def follows(self, int64_t place):
        """Whether all that the event at a place follows from has been received by now."""
        cdef Event event
        self._at(place, &event)
        return follows(&self.books, &event)

    def receive(self, bytes topic not None, bytes name not None, int64_t received_ns):
        """Book one event."""
        take_named(&self.books, topic, <int>len(topic), name, <int>len(name), received_ns, -1)

    def count_stored(self, const uint8_t[::1] copied not None, uint8_t[::1] stored not None):
        """Count rows (topic text, event text) of a binary COPY, without its header, into their places.

        Args:
            copied: any piece of the stream that begins with a row.
            stored: uint8[runs * places], which saturates at 255.
        Returns:
            (bytes used, how many of other runs, [(run index, event) of ours without a place]).
        """
        cdef const char *at = <const char *>&copied[0] if copied.shape[0] else NULL
        cdef const char *end = at + copied.shape[0]
        cdef const char *row = at
        cdef const char *topic
        cdef const char *name
        cdef int topic_length, name_length
        cdef int64_t foreign = 0, place
        cdef Event event
        strays = []
        if len(stored) != self.account.books.run_count * self.books.places:
            raise ValueError("stored is not of this shape")
        while end - row >= 10 and get_int2(row) == 2:
            topic_length = get_int4(row + 2)
            topic = row + 6
            if topic_length < 0 or end - topic < <int64_t>topic_length + 4:
                break
            name_length = get_int4(topic + topic_length)
            name = topic + topic_length + 4
            if name_length < 0:
                name_length = 0  # no name at all: a stray
            if end - name < name_length:
                break
            place = event_find(&self.books, topic, topic_length, name, name_length, &event)
            if place == EVENT_FOREIGN:
                foreign += 1
            elif place == EVENT_STRAY:
                strays.append((event.run, name[:name_length]))
            elif stored[place] < 255:
                stored[place] += 1
            row = name + name_length
        return row - at, foreign, strays


cdef void take_named(EventBooks *b, const char *topic, int topic_length, const char *name, int name_length,
                     int64_t received_ns, int64_t lsn) noexcept nogil:
    cdef Event event
    cdef int64_t *words = b.books.recorder.words
    cdef int64_t place = event_find(b, topic, topic_length, name, name_length, &event)
    if place >= 0:
        event_receive(b, &event, received_ns, lsn)
    elif place == EVENT_STRAY:
        event_stray(b, event.run, name, name_length)
    else:
        publish(&words[W_RECEIVED_FOREIGN], words[W_RECEIVED_FOREIGN] + 1)
