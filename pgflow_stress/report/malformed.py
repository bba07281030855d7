"""What a result lacks though it reads like one: said in one line, by the published schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import resources

from pgflow_stress.core.errors import UsageFault
from pgflow_stress.core.result import to_json
from pgflow_stress.report.saved import Saved

_MOST_WORDS = 160  # characters of the schema's own words


@contextmanager
def told_if_malformed(saved: Sequence[Saved]) -> Iterator[None]:
    """Make files out of results; where that stumbles over one that does not fit the schema, say so.

    Raises:
        UsageFault: a result does not fit; the line names the place. What stumbled over a sound one is raised as it is.
    """
    try:
        yield
    except (KeyError, TypeError, AttributeError, ValueError, IndexError):
        for one in saved:
            _require_fitting(one)
        raise


def _require_fitting(saved: Saved) -> None:
    import jsonschema  # noqa: PLC0415  loaded where something is wrong already

    schema = json.loads(resources.files("pgflow_stress.report").joinpath("result.schema.json").read_text("utf-8"))
    found = jsonschema.Draft202012Validator(schema).iter_errors(json.loads(json.dumps(to_json(saved.result))))
    first = next(found, None)
    if first is not None:
        place = "/".join(map(str, first.absolute_path)) or "the document"
        raise UsageFault(f"{saved.folder}: not a whole result: {place}: {first.message[:_MOST_WORDS]}") from None
