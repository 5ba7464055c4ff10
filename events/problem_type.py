"""The catalogue of problems: what every problem of one code has in common.

python -m events.problem_type MODULE…    prints the catalogue of each module, as JSON
"""

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib import import_module
from string import Formatter

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
    wording: str = ""
    """Name of this message and advice; empty for the first words of a code, whose name is the code."""

    @property
    def wording_id(self) -> str:
        """Name of this message and advice among all rooms: `s3-source-missing`."""
        return self.wording or self.code

    def problem(
        self, *, path: str | None = None, retryable: bool | None = None, **parameters: object
    ) -> Problem:
        """Return one occurrence of this problem.

        `path` is the path concerned, `retryable` overrides the catalogue, and `parameters` and `path` fill
        the templates. Parameters that no template has are sent for translations, which may need more. Raises
        KeyError if a parameter is missing.
        """
        given = {name: str(value) for name, value in parameters.items()}
        filling = given if path is None else {**given, "path": path}
        return Problem(
            code=self.code,
            message=self.message.format(**filling),
            advice=self.advice.format(**filling),
            path=path,
            retryable=self.retryable if retryable is None else retryable,
            wording=self.wording_id,
            parameters={name: value for name, value in given.items() if value or name in self.fields},
        )

    @cached_property
    def fields(self) -> frozenset[str]:
        """Names of the templates' parameters."""
        parts = (*Formatter().parse(self.message), *Formatter().parse(self.advice))
        return frozenset(name for _, name, _, _ in parts if name)


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


def wordings(types: Iterable[object]) -> dict[str, ProblemType]:
    """Return wording → type for every problem type among some objects.

    Raises ValueError if two types share a wording but not the words.
    """
    found: dict[str, ProblemType] = {}
    for kind in types:
        if isinstance(kind, ProblemType) and found.setdefault(kind.wording_id, kind) != kind:
            raise ValueError(f"two texts have the wording {kind.wording_id}")
    return found


if __name__ == "__main__":
    modules = {name: import_module(name) for name in sys.argv[1:]}
    json.dump(
        {
            name: {
                "problems": [asdict(kind) for kind in module.CATALOGUE.values()],
                "wordings": {
                    wording: {"message": kind.message, "advice": kind.advice}
                    for wording, kind in module.WORDINGS.items()
                },
            }
            for name, module in modules.items()
        },
        sys.stdout,
    )
