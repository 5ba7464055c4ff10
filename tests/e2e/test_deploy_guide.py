"""The checklist of docs/guides/deploy.md is followed line by line, in the embedded cloud.

Only names and addresses differ: another stage, home's release key, the embedded cloud in place of AWS. E-mail
is not delivered there, so the first password is set here.
"""

import contextlib
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from infra import REPOSITORY
from infra.deployed import parameter_name
from infra.local import cloud as embedded
from infra.local.deploy import CDK, STAGE
from infra.local.environment import Environment
from infra.local.operator_session import Operator
from infra.settings import read
from tests.support import aws_cli

GUIDE = (REPOSITORY / "docs/guides/deploy.md").read_text()
CHECKLIST = GUIDE.partition("Notes:")[0]
LINES = [
    line for block in re.findall(r"^```\n(.*?)^```$", CHECKLIST, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]  # fmt: skip
AGENT, PASSWORD = "guide-b", "A-password-of-Ana-7"


class Follower:
    """A person who follows the checklist."""

    def __init__(self, here: Environment, folder: Path) -> None:
        self.here, self.folder = here, folder
        self.ana = Operator(folder / "ana")
        self.followed: list[str] = []
        self.clients = {
            name: boto3.client(name, **embedded.client_settings(here.cloud))
            for name in ("cognito-idp", "ssm", "lambda")
        }

    def follow(self, line: str) -> str:
        """Run one line of the checklist; return its output."""
        words = [self._here(word) for word in shlex.split(line)]
        match words:
            case ["infra/local/setup.sh", *parts]:
                return self._tools(parts)
            case ["export", *_]:
                return ""  # the test calls each program by its path
            case ["cp", source, target]:
                return self._copied(source, target)
            case ["cdk", verb, *rest]:
                return self._cdk(verb, *rest)
            case ["python", "-m", "infra.preflight", *rest]:
                with self._settings_of_the_file():
                    return self._run(sys.executable, "-m", "infra.preflight", *rest)
            case ["python", *rest]:
                return self._run(sys.executable, *rest)
            case ["aws", "cognito-idp", verb, *_]:
                text = line.partition(verb)[2].replace("POOL", self.here.outputs.user_pool_id)
                # The embedded cloud would make a first password that is too short for the pool.
                more = {"TemporaryPassword": PASSWORD} if verb == "admin-create-user" else {}
                return str(aws_cli.run(self.clients["cognito-idp"], verb, text, **more))
            case ["crosshaul", "login", *rest]:
                self._set_password()
                self.ana.login(rest[0], rest[2], PASSWORD)
                return ""
            case ["crosshaul", *rest]:
                done = self.ana.try_(*rest)
                assert done.returncode == 0, done.stderr
                return done.stdout
        raise AssertionError(f"the checklist has a line that nobody can follow: {line}")

    def _here(self, word: str) -> str:
        """Return a word of the guide with this stage's names and addresses."""
        word = re.sub(r"\bprod\b", STAGE, word).replace("server-b", AGENT)
        word = word.replace("CONSOLE", self.here.outputs.console_url)
        return word.replace("~/crosshaul-release.key", str(self.folder / "release.key"))

    def _tools(self, parts: list[str]) -> str:
        script = (REPOSITORY / "infra/local/setup.sh").read_text()
        assert [part for part in parts if not re.search(rf"\b{part}\b", script)] == []
        assert CDK.exists()
        return ""

    def _copied(self, source: str, target: str) -> str:
        copied = self.folder / Path(target).name
        shutil.copy(REPOSITORY / source, copied)
        assert read(copied.stem, {}, self.folder) == read(STAGE, {}), "the example changes nothing"
        return ""

    def _cdk(self, verb: str, *rest: str) -> str:
        home = self.here.home
        node = (REPOSITORY / ".crosshaul/node.path").read_text().strip()
        deployed = json.loads(self._parameter())
        more = ["-c", f"embedded={home / 'embedded.json'}", "-c", f"commandKey={deployed['commandKey']}"]
        more += ["--app", f"{sys.executable} app.py", "--output", str(home / "cdk.out"), "--ci"]
        more += ["--require-approval", "never", "--method", "direct"] if verb == "deploy" else []
        return self._run(
            node, str(CDK), verb, *rest, *more, JSII_NODE=node, PATH=f"{Path(node).parent}:/usr/bin:/bin"
        )

    @contextlib.contextmanager
    def _settings_of_the_file(self) -> Iterator[None]:
        """Let the last deployment have had the command key of the file: another test may have replaced it."""
        name, before = parameter_name(STAGE), self._parameter()
        given = json.loads(before) | {"commandKey": read(STAGE, {}).command_key}
        self.clients["ssm"].put_parameter(Name=name, Value=json.dumps(given), Overwrite=True)
        try:
            yield
        finally:
            self.clients["ssm"].put_parameter(Name=name, Value=before, Overwrite=True)

    def _parameter(self) -> str:
        name = parameter_name(STAGE)
        return str(self.clients["ssm"].get_parameter(Name=name)["Parameter"]["Value"])

    def _run(self, *words: str, **more: str) -> str:
        if words[1:3] == ("-m", "infra.publish") and "--key" in words:
            # Agents of this environment have pinned its own key.
            (self.folder / "release.key").write_bytes((self.here.home / "release.key").read_bytes())
        environment = embedded.environment(self.here.cloud) | more
        done = subprocess.run(
            words, cwd=REPOSITORY, env=environment, text=True, capture_output=True, check=False
        )
        assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout + done.stderr

    def _set_password(self) -> None:
        self.clients["cognito-idp"].admin_set_user_password(
            UserPoolId=self.here.outputs.user_pool_id,
            Username="ana@example.org",
            Password=PASSWORD,
            Permanent=True,
        )


@pytest.fixture
def follower(here: Environment, tmp_path: Path) -> Iterator[Follower]:
    found = Follower(here, tmp_path)
    yield found
    here.operator.try_("agents", "remove", AGENT, "--yes")
    cognito = found.clients["cognito-idp"]
    with contextlib.suppress(cognito.exceptions.UserNotFoundException):
        cognito.admin_delete_user(UserPoolId=here.outputs.user_pool_id, Username="ana@example.org")


def test_the_checklist_can_be_followed_line_by_line(follower: Follower) -> None:
    assert len(LINES) >= 12
    told = {line: follower.follow(line) for line in LINES}
    assert "Ready to deploy." in told["python -m infra.preflight prod"]
    assert "Settings of local: unchanged." in told["cdk deploy --all -c stage=prod"]
    enrolled = told["crosshaul agents enroll server-b --root /data:rw"]
    assert "/install.sh" in enrolled, "the line to run on the host"
