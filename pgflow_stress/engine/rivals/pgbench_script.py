"""pgbench's script of a worker's cycle: a transaction polls a batch, claims it, completes it in the mode's way.

Variables: n, counted up; flow, qty, outs, which priming begins with; main, batch, outs_main, which they become once it
is over; worker. Arrays and ids reach the next statement through variables, as \\gset allows.
"""

from __future__ import annotations

from pgflow_stress.scenario.options import Mode

PIN_SECONDS = 0.3  # the first transaction waits, so that its backend can be found


def outputs(output: str, batch: int) -> str:
    """An array of so many outputs, as text."""
    quoted = output.replace("\\", "\\\\").replace('"', '\\"')
    return "{" + ",".join([f'"{quoted}"'] * batch) + "}"


def cycle_script(mode: Mode, batch: int, primes: int, vt_seconds: int, output: str) -> str:
    """The script. In single and pipeline each output is a literal: pgbench would send it as a variable no differently.

    Args:
        batch: tasks of a cycle once primed.
        primes: transactions on the priming flow.
        output: valid JSON without a single quote.
    """
    begin = f"\\if :n = 0\nselect pg_sleep({PIN_SECONDS});\n\\endif\n\\set n :n + 1\n"
    end = (
        f"\\if :n = {primes}\nselect :main::text as flow, :batch::int as qty, :outs_main::text as outs\\gset\n\\endif\n"
    )
    read = f"select array_agg(msg_id) as ids from pgmq.read(:flow, {vt_seconds}, :qty)\\gset\n"
    return begin + read + _complete(mode, batch, output) + end


_CLAIM = (
    "select array_agg(run_id) as rs, array_agg(step_slug) as ss, array_agg(task_index) as xs, array_agg(msg_id) as ms, "
    "array_agg(input) as ps "
    "from pgflow.start_tasks(flow_slug => :flow, msg_ids => :ids::bigint[], worker_id => :worker::uuid)"
)
_BATCH = (
    "select count(*) filter (where c.status = 'completed'), case when "
    "count(*) filter (where c.status = 'completed') < cardinality(:rs::uuid[]) then "
    "array_agg(u.n) filter (where c.status = 'completed') end "
    "from unnest(:rs::uuid[], :ss::text[], :xs::int[], :outs::jsonb[]) with ordinality as u(r, s, i, o, n), "
    "lateral pgflow.complete_task(run_id => u.r, step_slug => u.s, task_index => u.i, output => u.o) as c;\n"
)


def _complete(mode: Mode, batch: int, output: str) -> str:
    if mode is Mode.BATCH:
        return f"{_CLAIM}\\gset\n{_BATCH}"
    columns = ", ".join(f"r[{n}] as r{n}, s[{n}] as s{n}, i[{n}] as x{n}" for n in range(1, batch + 1))
    split = f"with a(r, s, i, m, p) as ({_CLAIM}) select {columns} from a\\gset\n"
    lines = [
        f"select status from pgflow.complete_task(run_id => :r{n}::uuid, step_slug => :s{n}::text, "
        f"task_index => :x{n}::int, output => '{output}'::jsonb);"
        for n in range(1, batch + 1)
    ]
    if mode is Mode.PIPELINE:
        lines = ["\\startpipeline", *(f"{line}\n\\syncpipeline" for line in lines), "\\endpipeline"]
    return split + "\n".join(lines) + "\n"
