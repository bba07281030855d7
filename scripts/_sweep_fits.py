"""Fits against what is known: synthetic curves, and a real target whose closed form is Amdahl's law: for prove_sweep.

Planted into the completion of a task are two sections under one advisory lock: asleep under a shared lock until
`share` seconds after the last hold ended, whoever had that, then `hold` seconds under the exclusive lock. Postgres
grants a lock in the order of asking, and shared ones together. So N backends sleep together, then pass through the
exclusive section one by one, and the first of them sleeps again when the last is through: a cycle takes
share + N x hold. The throughput is N / (share + N hold), which is the scalability law with
sigma = hold / (share + hold), kappa = 0, and both are exactly what was planted: what pgflow's own statements of a task
take passes within the sleep, which ends when it was to end.

A hold that follows another begins where that one ended, so that the hand-over is part of it. The first task that is
started begins the first sleep, for all: their first polls want the host's cores at once, and pass within it as well,
but for about 10 ms. So there are cycles enough that this is 0.3 %. Whoever came too late for the first exclusive
sections would sleep when the others do not, ever after: so before its first sleep a backend waits for all others.
What a worker primes on sleeps nowhere, nor what plans are looked at by.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from _planted import migrations_with, tell, tool

from pgflow_stress.analysis.growth import MODELS
from pgflow_stress.analysis.scalability import scalability
from pgflow_stress.analysis.sweeping import Line, Point, curves, scaling

SIZES = (100.0, 300.0, 1_000.0, 3_000.0, 10_000.0, 30_000.0)
BACKENDS = (1.0, 2.0, 4.0, 8.0, 16.0, 24.0, 32.0)
REAL_BACKENDS = (2, 4, 8, 12, 16, 24, 32)  # one alone would take as long as all of them
ROUNDS, NOISE = 5, 0.05
COST, RATE = "process.latency_ns.p50", "process.per_second"
SHARE_OF_CURVES, SHARE_OF_LAWS = 0.9, 0.9

JOB = ("concurrent-flows", "--flows", 1, "--steps", 1, "--poll-size", 1, "--completion", "single",
       "--empty-poll", "sleep:50", "--timeout", 300)  # fmt: skip
_LOCK = 6207
_UNMEASURED = "(p[0-9]+_[0-9]+|_plans)$"  # flows that a worker primes on, and by which plans are looked at
_STALE_SECONDS = 1.0  # no hold ended for so long: the first task of a repetition
_TOGETHER_SECONDS = 0.02  # that the first sleep goes on once all backends have met
_WORKERS = "^pgflow-stress: worker"
_MIGRATION = f"""
CREATE SEQUENCE pgflow.planted_end;
CREATE SEQUENCE pgflow.planted_arrivals;
CREATE FUNCTION pgflow.planted_now() RETURNS bigint LANGUAGE sql AS $$
  SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
$$;
CREATE FUNCTION pgflow.planted_until(until bigint, spun bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_sleep(greatest(0, until - spun - pgflow.planted_now()) / 1000000.0);
  WHILE pgflow.planted_now() < until LOOP END LOOP;
END $$;
CREATE FUNCTION pgflow.planted_first() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM setval('pgflow.planted_end', pgflow.planted_now())
    FROM pgflow.planted_end WHERE last_value < pgflow.planted_now() - {{stale_us}};
  RETURN NULL;
END $$;
CREATE FUNCTION pgflow.planted_meeting() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  backends bigint;
  latest bigint := pgflow.planted_now() + {{stale_us}};
BEGIN
  PERFORM nextval('pgflow.planted_arrivals');
  SELECT count(*) INTO backends FROM pg_stat_activity
    WHERE datname = current_database() AND application_name ~ '{_WORKERS}';
  WHILE (SELECT last_value FROM pgflow.planted_arrivals) < backends AND pgflow.planted_now() < latest LOOP
    PERFORM pg_sleep(0.001);
  END LOOP;
END $$;
CREATE FUNCTION pgflow.planted() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  together bigint := 0;
  slept bigint;
  began bigint;
  before bigint;
BEGIN
  IF current_setting('planted.met', true) IS NULL THEN
    PERFORM set_config('planted.met', 'yes', false);
    PERFORM pgflow.planted_meeting();
    together := pgflow.planted_now() + {{together_us}};
  END IF;
  PERFORM pg_advisory_lock_shared({_LOCK});
  SELECT greatest(together, last_value + {{share_us}}) INTO slept FROM pgflow.planted_end;
  PERFORM pgflow.planted_until(slept, 0);
  PERFORM pg_advisory_unlock_shared({_LOCK});
  PERFORM pg_advisory_lock({_LOCK});
  SELECT last_value INTO before FROM pgflow.planted_end;
  began := greatest(before, slept);
  IF pgflow.planted_now() - began > {{most_hand_over_us}} THEN began := pgflow.planted_now(); END IF;
  PERFORM setval('pgflow.planted_end', began + {{hold_us}});
  PERFORM pgflow.planted_until(began + {{hold_us}}, {{spun_us}});
  PERFORM pg_advisory_unlock({_LOCK});
  RETURN NULL;
END $$;
CREATE TRIGGER planted_first AFTER UPDATE ON pgflow.step_tasks FOR EACH ROW
  WHEN (new.status = 'started' AND old.status <> 'started' AND new.flow_slug !~ '{_UNMEASURED}')
  EXECUTE FUNCTION pgflow.planted_first();
CREATE TRIGGER planted AFTER UPDATE ON pgflow.step_tasks FOR EACH ROW
  WHEN (new.status = 'completed' AND old.status <> 'completed' AND new.flow_slug !~ '{_UNMEASURED}')
  EXECUTE FUNCTION pgflow.planted();
"""


def _points(sizes: tuple[float, ...], metric: str, values: Any) -> Line:
    """A line of cells as a sweep makes it, of values [sizes, rounds]."""
    axis = "workers" if metric == RATE else "steps"
    points = tuple(
        Point(cell, (f"{size:g}",), (size,), {metric: tuple(map(float, values[cell]))})
        for cell, size in enumerate(sizes)
    )
    return Line(axis, (), points, sizes)


def _curves(times: int, generator: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Costs a + b g(n) with multiplied noise, by the same functions that a sweep calls."""
    n = np.array(SIZES)
    for index in range(times):
        model = list(MODELS)[index % len(MODELS)]
        g = MODELS[model](n)
        a = float(np.exp(generator.uniform(np.log(1e5), np.log(1e7))))
        at_most = float(np.exp(generator.uniform(np.log(5), np.log(200))))  # b g over a, at the largest size
        b = at_most * a / float(g.max())
        noise = np.exp(generator.normal(0, NOISE, (len(n), ROUNDS)))
        (found,) = curves(_points(SIZES, COST, (a + b * g)[:, None] * noise), (COST,))
        fit = found.growth
        right = fit is not None and fit.model == model and fit.b is not None
        yield {
            "model": model,
            "found": fit.model if fit else found.reason,
            "right": right,
            "a": right and fit is not None and fit.a.low <= a <= fit.a.high,
            "b": right and fit is not None and fit.b is not None and fit.b.low <= b <= fit.b.high,
        }


def _laws(times: int, generator: np.random.Generator) -> Iterator[dict[str, Any]]:
    n = np.array(BACKENDS)
    for _ in range(times):
        one = float(np.exp(generator.uniform(np.log(20), np.log(2_000))))
        sigma = float(np.exp(generator.uniform(np.log(0.005), np.log(0.3))))
        kappa = float(np.exp(generator.uniform(np.log(1e-5), np.log(3e-3))))
        rates = one * n / (1 + sigma * (n - 1) + kappa * n * (n - 1))
        found = scaling(
            _points(BACKENDS, RATE, rates[:, None] * np.exp(generator.normal(0, NOISE, (len(n), ROUNDS)))), RATE
        )
        law = found.law if found else None
        yield {
            "one": law is not None and law.one.low <= one <= law.one.high,
            "sigma": law is not None and law.sigma.low <= sigma <= law.sigma.high,
            "kappa": law is not None and law.kappa.low <= kappa <= law.kappa.high,
        }


def prove_synthetic(times: int, seed: int) -> bool:
    """Known parameters lie in their intervals, 90 of 100 each; a curve of which another model is chosen is a miss."""
    generator = np.random.default_rng(seed)
    of_curves, of_laws = list(_curves(times, generator)), list(_laws(times, generator))
    found = {name: sum(bool(one[name]) for one in of_curves) for name in ("right", "a", "b")}
    laws = {name: sum(bool(one[name]) for one in of_laws) for name in ("one", "sigma", "kappa")}
    wrong = sorted(f"{one['model']} taken for {one['found']}" for one in of_curves if not one["right"])
    held = min(found.values()) >= SHARE_OF_CURVES * times and laws["sigma"] >= SHARE_OF_LAWS * times
    tell(proof="fits synthetic", of=times, noise=NOISE, curves=found, laws=laws, wrong_models=wrong, held=held)
    return held


def _law_of_all(cells: Any) -> list[float] | None:
    """Sigma and its interval over every point, also where the host's cores ran out: to look at, and proves nothing."""
    pairs = [(float(c["values"]["workers"]), v) for c in cells for v in c["summary"].get(RATE, {}).get("values", ())]
    try:
        sigma = scalability([n for n, _ in pairs], [rate for _, rate in pairs]).sigma
    except ValueError:
        return None
    return [round(sigma.value, 4), round(sigma.low, 4), round(sigma.high, 4)]


def prove_real(times: int, seed: int, given: Any) -> bool:
    """A sweep over workers each: is the closed form's sigma inside, in nine of ten?"""
    inside = kappa_inside = told = 0
    hold, share = given.hold_ms / 1000, given.share_ms / 1000
    sigma = hold / (share + hold)
    planted = _MIGRATION.format(
        share_us=round(1e6 * share), hold_us=round(1e6 * hold), spun_us=round(1e6 * hold / 4),
        most_hand_over_us=round(1e6 * hold), stale_us=round(1e6 * _STALE_SECONDS),
        together_us=round(1e6 * _TOGETHER_SECONDS),
    )  # fmt: skip
    with migrations_with(planted) as migrations:
        for number in range(seed, seed + times):
            code, document = tool(
                "sweep", *JOB, "--runs", given.tasks, "--pgflow", migrations, "--metric", RATE, "--confirm", 0,
                "--warmup", 0, "--repetitions", given.repetitions, "--seed", number,
                "--vary", f"workers={','.join(map(str, REAL_BACKENDS))}",
            )  # fmt: skip
            if code or document is None:
                raise SystemExit(f"a sweep ended with {code}: nothing is proven")
            (one,) = document["scaling"]
            law = one["law"]
            told += law is not None
            inside += law is not None and law["sigma"]["low"] <= sigma <= law["sigma"]["high"]
            kappa_inside += law is not None and law["kappa"]["low"] <= 0
            whole = _law_of_all(document["cells"])
            means = {c["values"]["workers"]: c["summary"].get(RATE, {}).get("mean") for c in document["cells"]}
            tell(
                seed=number, sigma=round(sigma, 4), found=law and law["sigma"],
                kappa=law and law["kappa"], reason=one["reason"], exhausted=one["cores_exhausted_at"],
                sigma_of_all_points=whole,
                off={n: rate and round(rate * (share + float(n) * hold) / float(n) - 1, 3)
                     for n, rate in means.items()},
            )  # fmt: skip
    held = inside >= SHARE_OF_LAWS * times
    tell(proof="fits real", of=times, told=told, sigma_inside=inside, kappa_has_0=kappa_inside, held=held)
    return held
