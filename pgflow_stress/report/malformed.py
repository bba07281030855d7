"""What a result lacks though it reads like one: said in one line, by the published schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import resources

from pgflow_stress.core.errors import ResultFault, UsageFault
from pgflow_stress.core.result import to_json
from pgflow_stress.report.saved import Saved

_MOST_WORDS = 160  # characters of the schema's own words


@contextmanager
def told_if_malformed(saved: Sequence[Saved]) -> Iterator[None]:
    """Make something out of results; where that stumbles over what one of them has, say so.

    Raises:
        UsageFault: the line names the place that does not fit the schema.
        ResultFault: all fit; the line says what it came to.
    """
    try:
        yield
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RecursionError) as error:
        for one in saved:
            _require_fitting(one)
        where = " and ".join(dict.fromkeys(str(one.folder) for one in saved))
        what = " ".join(f"{type(error).__name__}: {error}".split())[:_MOST_WORDS]
        raise ResultFault(f"{where}: not a result that can be used, was it changed by hand? ({what})") from error


def _require_fitting(saved: Saved) -> None:
    import jsonschema  # noqa: PLC0415  loaded where something is wrong already

    schema = json.loads(resources.files("pgflow_stress.report").joinpath("result.schema.json").read_text("utf-8"))
    found = jsonschema.Draft202012Validator(schema).iter_errors(json.loads(json.dumps(to_json(saved.result))))
    first = next(found, None)
    if first is not None:
        place = "/".join(map(str, first.absolute_path)) or "the document"
        raise UsageFault(f"{saved.folder}: not a whole result: {place}: {first.message[:_MOST_WORDS]}") from None
