"""The acceptance of a deployment: which end-to-end stories it has."""

import ast
import re

from infra import REPOSITORY

TWELVE = {
    "sign-in with a new password",
    "enroll",
    "direct",
    "S3 pull of 90 objects",
    "push",
    "chain",
    "relay",
    "browse",
    "cancel",
    "rotate",
    "update",
    "remove",
}
STORY = re.compile(r'mark\.acceptance\("([^"]+)"\)')
EMBEDDED_ONLY = re.compile(r"here\.cloud\b|client_settings|\bSTAGE\b")


def test_twelve_stories_accept_a_deployment_and_each_is_told_once() -> None:
    told = [
        name
        for file in sorted((REPOSITORY / "tests/e2e").glob("test_*.py"))
        for name in STORY.findall(file.read_text())
    ]
    assert sorted(told) == sorted(TWELVE)


def test_no_story_needs_the_embedded_cloud() -> None:
    """They reach the stage through `here.client` and its outputs, which every stage has."""
    stories = [
        function
        for file in sorted((REPOSITORY / "tests/e2e").glob("test_*.py"))
        for function in ast.walk(ast.parse(file.read_text()))
        if isinstance(function, ast.FunctionDef)
        and any(STORY.search(ast.unparse(one).replace("'", '"')) for one in function.decorator_list)
    ]
    assert len(stories) == len(TWELVE)
    assert not [one.name for one in stories if EMBEDDED_ONLY.search(ast.unparse(one))]
