"""What was created, held against the plan: every flow's steps, their kinds and what each waits for."""

from __future__ import annotations

import json

from psycopg import sql

from pgflow_stress.engine.own_definitions import step_options
from pgflow_stress.scenario.flow import NO_OPTIONS
from pgflow_stress.scenario.workload import Workload

# What is not there of a definition, or is and should not be. A flow's shape says which of the steps are its own.
DEFINITIONS = """
with shapes as (
    select * from unnest({of_shapes}::int[], {indexes}::int[], {slugs}::text[], {kinds}::text[], {deps}::text[],
                         {options}::jsonb[]) as u(shape, step_index, step_slug, step_type, deps, options)
), planned as (
    select w.flow_slug, u.step_slug, u.step_index, u.step_type, u.deps::text[] as deps, u.options
    from unnest({flow_slugs}::text[], {shape_of}::int[]) as w(flow_slug, shape) join shapes u using (shape)
), defined as (
    select s.flow_slug, s.step_slug, s.step_index, s.step_type, s.deps_count, {defined_options} as options,
           coalesce(array_agg(p.step_slug order by p.step_index) filter (where p.step_slug is not null), '{{}}') as deps
    from pgflow.steps s left join pgflow.deps d using (flow_slug, step_slug)
    left join pgflow.steps p on p.flow_slug = s.flow_slug and p.step_slug = d.dep_slug
    where {flows_s} group by s.flow_slug, s.step_slug
)
select flow_slug || ' ' || step_slug from planned full join defined d using (flow_slug, step_slug)
where {whole} and d.step_index is null or planned.step_index is null or d.step_index <> planned.step_index
    or d.step_type <> planned.step_type or d.deps <> planned.deps or d.deps_count <> cardinality(planned.deps)
    or d.options is distinct from planned.options
"""
# As STEP_ARGUMENTS names them; older versions have no conditions.
_OPTIONS = """
jsonb_strip_nulls(jsonb_build_object('max_attempts', s.opt_max_attempts, 'base_delay', s.opt_base_delay,
    'timeout', s.opt_timeout, 'start_delay', s.opt_start_delay,
    'when_unmet', nullif(to_jsonb(s) ->> 'when_unmet', 'skip'),
    'when_exhausted', nullif(to_jsonb(s) ->> 'when_exhausted', 'fail')))
|| case when to_jsonb(s) ->> 'required_input_pattern' is null then '{{}}'
    else jsonb_build_object('required_input_pattern', to_jsonb(s) -> 'required_input_pattern') end
|| case when to_jsonb(s) ->> 'forbidden_input_pattern' is null then '{{}}'
    else jsonb_build_object('forbidden_input_pattern', to_jsonb(s) -> 'forbidden_input_pattern') end
"""


def planned_parts(work: Workload, flow_slugs: list[str], *, whole: bool) -> dict[str, sql.Composable]:
    """The plan's part of DEFINITIONS.

    Args:
        flow_slugs: of each flow.
        whole: whether a step that is not there is an offence.
    """
    steps = [
        (number, index, step) for number, shape in enumerate(work.shapes) for index, step in enumerate(shape.steps)
    ]
    deps = [
        "{" + ",".join(work.shapes[number].steps[dep].slug for dep in sorted(step.deps)) + "}"
        for number, _, step in steps
    ]
    own = any(step.options != NO_OPTIONS for _, _, step in steps)
    return {
        "options": sql.Literal([json.dumps(step_options(step.options)) if own else None for _, _, step in steps]),
        "defined_options": sql.SQL(_OPTIONS if own else "null::jsonb").format(),
        "of_shapes": sql.Literal([number for number, _, _ in steps]),
        "indexes": sql.Literal([index for _, index, _ in steps]),
        "slugs": sql.Literal([step.slug for _, _, step in steps]),
        "kinds": sql.Literal([step.kind for _, _, step in steps]),
        "deps": sql.Literal(deps),
        "flow_slugs": sql.Literal(flow_slugs),
        "shape_of": sql.Literal(list(work.shape_of)),
        "whole": sql.Literal(whole),
    }
