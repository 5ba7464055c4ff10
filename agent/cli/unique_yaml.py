"""Load YAML documents, refusing repeated keys: YAML's own loader silently keeps the last one."""

from typing import Any

import yaml


class RepeatedKeyError(Exception):
    """A mapping has a key twice; lines are counted from 1."""

    def __init__(self, key: str, first_line: int, line: int) -> None:
        super().__init__(f"line {line}: the key {key!r} is repeated")
        self.key = key
        self.first_line = first_line
        self.line = line


class _Loader(yaml.SafeLoader):
    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        first: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                name, line = (key.tag, key.value), key.start_mark.line + 1
                if name in first:
                    raise RepeatedKeyError(key.value, first[name], line)
                first[name] = line
        return node


def load_all(text: str) -> list[Any]:
    """Return every document; None for an empty one.

    Raises:
        RepeatedKeyError: A mapping has a key twice.
        yaml.YAMLError: The text is not YAML.
        ValueError: A value is no valid date.
        RecursionError: It is nested too deeply.
    """
    loader = _Loader(text)
    documents = []
    while loader.check_data():  # type: ignore[no-untyped-call]
        documents.append(loader.get_data())
    return documents
