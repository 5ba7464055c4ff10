"""The bot that keeps locks fresh finds every lock, and writes them as `make locks` does."""

import json
import re
from typing import Any

from infra import REPOSITORY

CONFIG: dict[str, Any] = json.loads((REPOSITORY / "renovate.json").read_text())


def test_every_lock_of_packages_is_kept_fresh() -> None:
    [pattern] = CONFIG["pip_requirements"]["managerFilePatterns"]
    locks = {
        str(file.relative_to(REPOSITORY))
        for file in (REPOSITORY / "locks").iterdir()
        if re.search(r"^[a-z0-9-]+==", file.read_text(), re.MULTILINE)
    }
    matched = {lock for lock in locks if re.search(pattern.strip("/"), lock)}
    assert matched == locks - {"locks/uv.txt"}, "uv resolves the others, and is replaced by hand"


def test_locks_are_resolved_together_with_their_digests() -> None:
    [tasks] = [rule["postUpgradeTasks"] for rule in CONFIG["packageRules"] if "postUpgradeTasks" in rule]
    [command] = tasks["commands"]
    assert (REPOSITORY / command).stat().st_mode & 0o111
    assert tasks["fileFilters"] == ["locks/*.txt"]
