"""Ban private words in identifiers, each with the word of the field to write instead, and double class names.

Checks the names of classes, functions, parameters and constants. The name of a test is a sentence and is not
checked. Prints `file:line: name: write …`, exits 1 if a banned word or a second class of one name is found.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

ROOMS = ("agent", "events", "infra", "lambdas", "tests")
REPLACEMENTS = {
    "behaviour": "behavior",
    "bench": "context",
    "breath": "..._DELAY_S",
    "bring on": "advance",
    "carry on": "resume",
    "carry out": "run",
    "conversation": "client",
    "crew": "pool",
    "deed": "event",
    "desk": "outbox or service",
    "dialled": "dialed",
    "dialler": "dialer",
    "doomed": "failed_by_upstream",
    "dress": "apply_metadata",
    "ear": "live_feed",
    "ears": "rules",
    "enrol": "enroll",
    "enrolling": "enrollment",
    "enrolment": "enrollment",
    "expel": "deprovision",
    "fate": "outcome",
    "favourite": "preferred",
    "foreman": "scaler",
    "gate": "authorizer",
    "half done": "partial",
    "hang up": "shut_down",
    "hauling": "attempt",
    "hear": "on_message",
    "heard": "on_message or received",
    "hearing": "handler or listener",
    "hears": "is_connected",
    "heed": "replace",
    "hire": "spawn",
    "hurry": "wake",
    "kin": "group",
    "landing": "destination",
    "lapsed": "expired",
    "leash": "child_process",
    "leashed": "child_process",
    "lend": "issue",
    "lender": "issuer",
    "lending": "credentials",
    "lends": "issues",
    "lent": "issued",
    "licence": "license",
    "look anew": "rescan",
    "look every": "POLL_INTERVAL_S",
    "misbehaviour": "ProtocolError",
    "misfit": "validation_error",
    "misfits": "validation_errors",
    "nudge": "command",
    "nudges": "commands",
    "obeyed": "trusted",
    "obeys": "trusts",
    "patience": "..._timeout_s",
    "rehearsal": "dry_run",
    "ripe": "ready",
    "ripens": "ready",
    "shelf": "source_file_server",
    "sick": "failing",
    "spelling": "name_folding",
    "stride": "request_size",
    "tally": "progress",
    "told": "observer",
    "trouble": "error",
    "unheard": "requeued",
    "unsaid": "unsent",
    "verdict": "comparison, decision or report",
    "wish": "spec",
    "wishes": "specs",
}
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line and name of each class, function, parameter and constant."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if not node.name.startswith("test_"):
                yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id.isupper():
            yield node.lineno, node.id


def replacement(name: str) -> str | None:
    """Return what to write instead of the first banned word in `name`."""
    words = [word.lower() for word in WORD.findall(name)]
    candidates = [*words, *(f"{first} {second}" for first, second in pairwise(words))]
    return next((REPLACEMENTS[word] for word in candidates if word in REPLACEMENTS), None)


def second_classes(trees: Mapping[str, ast.AST]) -> Iterator[str]:
    """Yield a line for each class whose name another file's class has: a name should tell which one is meant.

    Classes of tests, and pynamodb's `Meta`, are not looked up by name.
    """
    seen: dict[str, str] = {}
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and node.name != "Meta" and not node.name.startswith("Test"):
                first = seen.setdefault(node.name, path)
                if first != path:
                    yield f"{path}:{node.lineno}: {node.name}: a class of {first} has this name"


def main() -> None:
    """Print every name that has a banned word, and every class name that is taken; exit 1 if there is one."""
    patterns = [f"{room}/*.py" for room in ROOMS]
    listed = subprocess.run(["git", "ls-files", *patterns], check=True, capture_output=True, text=True).stdout
    trees = {path: ast.parse(Path(path).read_text(encoding="utf-8")) for path in listed.splitlines()}
    found = [
        f"{path}:{line}: {name}: write {instead}"
        for path, tree in trees.items()
        for line, name in names(tree)
        if (instead := replacement(name))
    ]
    sys.exit("\n".join([*found, *second_classes(trees)]) or 0)


if __name__ == "__main__":
    main()
