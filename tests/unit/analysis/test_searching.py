"""The search on simulated servers, whose limit is known in closed form, and on made-up ones."""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from pgflow_stress.analysis.searching import Ask, Ended, Finish, Outcome, Phase, Rules, Told, ask, fit
from tests.fixtures.queues import always, exponential, median_excess, search, serve

ROOT = Path(__file__).resolve().parents[3]
SERVICE = 0.005
LOAD = 0.75
SEARCHES = 60
RULES = Rules(first_per_second=50, least_per_second=3, most_per_second=2_000)


@pytest.fixture
def md1(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("_md1")


def sharp(limit: float, noise: float = 0.0, seed: int = 1) -> object:
    generator = np.random.default_rng(seed)

    def excess(asked: Ask) -> float:
        return 4 * math.log(asked.per_second / limit) + noise * float(generator.normal())

    return excess


@pytest.mark.parametrize("load", [0.3, 0.6, 0.75, 0.85])
def test_the_closed_form_of_md1_is_what_a_simulation_waits(md1: ModuleType, load: float) -> None:
    server = md1.MD1(load / SERVICE, SERVICE)
    served = serve(server.per_second, always(SERVICE), 150_000 * SERVICE / load, np.random.default_rng(3))
    waits = served.responses - SERVICE

    assert float(waits.mean()) == pytest.approx(server.mean_wait_seconds, rel=0.06)
    assert float(np.quantile(waits, 0.75)) == pytest.approx(server.wait_quantile_seconds(0.75), rel=0.06, abs=1e-6)
    assert md1.response_seconds(served.due, SERVICE) == pytest.approx(served.responses)


def test_nine_of_ten_searches_find_the_rate_of_md1_within_5_percent(md1: ModuleType) -> None:
    server = md1.MD1(LOAD / SERVICE, SERVICE)
    limit = SERVICE + server.wait_quantile_seconds(0.5)
    off, estimated, inside = [], [], 0
    for seed in range(SEARCHES):
        generator = np.random.default_rng(seed)
        rules = Rules(0.3 / SERVICE, 1, 2_000, probes=6, seed=seed)
        path, found = search(rules, median_excess(always(SERVICE), limit, 1_000 / server.per_second, generator))
        assert found.ended is Ended.CONFIRMED
        assert found.per_second is not None
        fitted = fit(path)
        assert fitted is not None
        off.append(found.per_second / server.per_second - 1)
        estimated.append(fitted.per_second / server.per_second - 1)
        inside += fitted.low <= server.per_second <= fitted.high

    assert np.mean(np.abs(off) <= 0.05) >= 0.9
    assert np.mean(np.abs(estimated) <= 0.05) >= 0.95
    assert inside >= 0.8 * SEARCHES


def test_a_server_of_random_service_times_is_found_too() -> None:
    # Response times of M/M/1 are exponential of mean S / (1 - load).
    limit = math.log(2) * SERVICE / (1 - LOAD)
    off = []
    for seed in range(20):
        generator = np.random.default_rng(seed)
        measure = median_excess(exponential(SERVICE, generator), limit, 5_000 * SERVICE / LOAD, generator)
        _, found = search(Rules(0.3 / SERVICE, 1, 2_000, seed=seed), measure)
        assert found.per_second is not None
        off.append(found.per_second * SERVICE / LOAD - 1)

    assert np.mean(np.abs(off) <= 0.06) >= 0.9


@pytest.mark.parametrize("limit", [4.0, 47.0, 50.0, 333.0, 1_900.0])
@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_a_search_ends_within_its_bounds_and_near_the_limit(limit: float, noise: float) -> None:
    for seed in range(5):
        path, found = search(Rules(50, 3, 2_000, seed=seed), sharp(limit, noise, seed))  # type: ignore[arg-type]

        assert all(3 <= told.per_second <= 2_000 for told in path)
        assert found.per_second is not None
        assert abs(math.log(found.per_second / limit)) < 0.05 + noise


def test_without_noise_the_answer_is_within_two_steps_below_the_limit() -> None:
    path, found = search(RULES, sharp(123.0))  # type: ignore[arg-type]

    assert found.ended is Ended.CONFIRMED
    assert found.per_second is not None
    assert 123 * 0.98 <= found.per_second <= 123
    assert [told.outcome for told in path[-3:]] == [Outcome.HELD] * 3


def test_one_seed_asks_for_one_path_and_probes_are_in_no_order() -> None:
    first, second, other = (search(Rules(50, 3, 2_000, seed=s), sharp(123.0))[0] for s in (7, 7, 8))  # type: ignore[arg-type]

    probes = [told.per_second for told in first if told.phase is Phase.PROBE]
    assert first == second
    assert first != other
    assert len(probes) == RULES.probes
    assert probes != sorted(probes)


def told(phase: Phase, rate: float, outcome: Outcome, excess: float | None = None) -> Told:
    return Told(phase, rate, outcome, excess)


def test_what_holds_up_to_the_highest_rate_allowed_is_confirmed_there_and_called_so() -> None:
    path, found = search(Rules(50, 3, 300), sharp(1_000.0))  # type: ignore[arg-type]

    assert [t.per_second for t in path] == [50, 100, 200, 300, 300, 300, 300]
    assert found == Finish(Ended.HOLDS_AT_MOST, 300)


def test_where_nothing_holds_it_ends_at_the_lowest_rate_allowed() -> None:
    path, found = search(Rules(50, 10, 300), sharp(1.0))  # type: ignore[arg-type]

    assert [t.per_second for t in path] == [50, 25, 12.5, 10]
    assert found == Finish(Ended.NOTHING_HOLDS, None)


def test_a_client_that_is_the_limit_is_not_taken_for_the_servers() -> None:
    path: list[Told] = []
    while isinstance(asked := ask(RULES, path), Ask):
        outcome = Outcome.INVALID if asked.per_second > 150 else Outcome.HELD
        path.append(told(asked.phase, asked.per_second, outcome, -1.0))
        assert len(path) < 60

    assert asked.ended is Ended.CLIENT_BOUND
    assert asked.per_second is not None
    assert 100 <= asked.per_second <= 150


def test_where_the_client_cannot_even_offer_the_lowest_rate_it_says_so() -> None:
    path = [told(Phase.DOUBLING, rate, Outcome.INVALID) for rate in (50, 25, 12.5, 6.25, 3.125, 3)]

    assert ask(RULES, path) == Finish(Ended.CLIENT_BOUND, None)


def test_a_confirming_window_whose_backlog_may_grow_does_not_confirm() -> None:
    path = [told(Phase.DOUBLING, 50, Outcome.HELD, -1), told(Phase.DOUBLING, 100, Outcome.FAILED, 1)]
    path += [told(Phase.PROBE, rate, Outcome.HELD, -0.5) for rate in (55.0,) * 8]
    path.append(told(Phase.CONFIRM, 60, Outcome.UNDECIDED, -0.1))

    asked = ask(RULES, path)

    assert isinstance(asked, Ask)
    assert asked.phase is Phase.CONFIRM
    assert asked.per_second == pytest.approx(60 * 0.99)


def test_the_last_three_windows_of_a_budget_are_kept_for_confirming() -> None:
    path = [told(Phase.DOUBLING, 50, Outcome.HELD, -1), told(Phase.DOUBLING, 100, Outcome.FAILED, 1)]

    plenty, few, none = (ask(RULES, path, left) for left in (4, 3, 0))

    assert isinstance(plenty, Ask)
    assert plenty.phase is Phase.PROBE
    assert isinstance(few, Ask)
    assert few.phase is Phase.CONFIRM
    assert none == Finish(Ended.BUDGET, None)


def test_a_budget_too_small_for_a_window_ends_at_once() -> None:
    assert ask(RULES, [], 0) == Finish(Ended.BUDGET, None)


@pytest.mark.parametrize("invalid", [1, 2, 3])
def test_windows_that_say_nothing_are_repeated_twice_before_a_rate_is_left(invalid: int) -> None:
    path: Sequence[Told] = [
        told(Phase.DOUBLING, 50, Outcome.HELD, -1),
        told(Phase.DOUBLING, 100, Outcome.FAILED, 1),
        *[told(Phase.PROBE, 60, Outcome.HELD, -0.4)] * 8,
        *[told(Phase.CONFIRM, 70, Outcome.INVALID)] * invalid,
    ]

    asked = ask(RULES, path)

    assert isinstance(asked, Ask)
    assert (asked.per_second == 70) is (invalid <= 2)
