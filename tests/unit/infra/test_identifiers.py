"""The lint step that holds the project's language: banned words, and one class a name."""

import ast

from infra.local.identifiers import replacement, second_classes


def test_a_private_word_is_replaced_by_the_field_s() -> None:
    assert replacement("RangeCrew") == "pool"
    assert replacement("WorkerPool") is None


def test_a_class_with_the_name_of_another_file_s_is_found_with_both_places() -> None:
    trees = {
        "agent/service.py": ast.parse("class Service:\n    class Meta: ...\nclass Health: ...\n"),
        "agent/cli/service.py": ast.parse("\nclass Service:\n    class Meta: ...\nclass TestHealth: ...\n"),
    }
    found = list(second_classes(trees))
    assert found == ["agent/cli/service.py:2: Service: a class of agent/service.py has this name"]
