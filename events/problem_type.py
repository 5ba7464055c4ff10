"""The catalogue of problems: what every problem of one code has in common.

python -m events.problem_type MODULE…    prints the catalogue of each module, as JSON
"""

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib import import_module

from events.base import Problem


@dataclass(frozen=True)
class ProblemType:
    """One kind of problem. `message` and `advice` are templates for `str.format`."""

    code: str
    """Stable code for programs: `source-missing`."""
    title: str
    """What is wrong in a few words, without names or numbers: `The path does not exist`."""
    message: str = "{detail}"
    """What happened and where, with the names and numbers of one occurrence."""
    advice: str = ""
    """What to do about it."""
    retryable: bool = False
    """Whether a later attempt may succeed."""
    status: int | None = None
    """HTTP status of an answer with this problem; None if it is never an answer."""

    def problem(
        self, *, path: str | None = None, retryable: bool | None = None, **parameters: object
    ) -> Problem:
        """Return one occurrence of this problem.

        `path` is the path concerned, `retryable` overrides the catalogue, and `parameters` and `path` fill
        the templates. Raises KeyError if a parameter is missing.
        """
        if path is not None:
            parameters["path"] = path
        return Problem(
            code=self.code,
            message=self.message.format(**parameters),
            advice=self.advice.format(**parameters),
            path=path,
            retryable=self.retryable if retryable is None else retryable,
        )


def catalogue(types: Iterable[object]) -> dict[str, ProblemType]:
    """Return code → type for every problem type among some objects, such as a module's values.

    Types with one code and title are the same problem in other words; the first of them is returned.

    Raises ValueError if two types share a code but not a title.
    """
    found: dict[str, ProblemType] = {}
    for kind in types:
        if isinstance(kind, ProblemType) and found.setdefault(kind.code, kind).title != kind.title:
            raise ValueError(f"two problem types have the code {kind.code}")
    return found


if __name__ == "__main__":
    catalogues = {name: import_module(name).CATALOGUE for name in sys.argv[1:]}
    json.dump(
        {name: [asdict(kind) for kind in found.values()] for name, found in catalogues.items()}, sys.stdout
    )
