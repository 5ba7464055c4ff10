"""Two stages in one account do not affect each other.

Uses the control plane's registry, jobs and commands, and devices with certificates, with an agent of the same
name in each stage.
"""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agent.cloud.messages import BrokerEndpoint, LinkError
from agent.cloud.mqtt_link import MqttLink
from events.topics import Topics
from infra.local import cloud as embedded
from infra.local.cloud import Cloud
from lambdas.aws.command_publisher import CommandPublisher
from lambdas.aws.iot_jobs import IotJobs
from lambdas.domain.errors import ThingForeignError
from lambdas.domain.update import Member, Update
from tests.contract.embedded_parts import (
    allow,
    client,
    device_files,
    device_policy,
    new_csr,
    new_device,
    new_device_policy,
    new_rule_queue,
    policy,
    received,
    registry,
)
from tests.support.waiting import HANG_TIMEOUT_S

NAME = "server-b"
PROD, EU = Topics("prod"), Topics("prod-eu")
"""Two stages; the name of one is a prefix of the other's."""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    running = embedded.start(tmp_path_factory.mktemp("stages"))
    for topics in (PROD, EU):
        new_device_policy(running, topics)
    yield running
    embedded.stop(running)


@dataclass(frozen=True)
class DeployedStage:
    """A stage's resources in the cloud, and its server-b."""

    cloud: Cloud
    topics: Topics
    endpoint: BrokerEndpoint

    @property
    def thing(self) -> str:
        return self.topics.thing(NAME)

    def link(self) -> MqttLink:
        of_jobs = (self.topics.job_notifications(self.thing), self.topics.jobs_response(self.thing))
        return MqttLink(self.endpoint, self.topics.commands(self.thing), of_jobs)

    @property
    def fleet(self) -> CommandPublisher:
        return CommandPublisher(
            kms=client(self.cloud, "kms"),
            broker=client(self.cloud, "iot-data"),
            keys=("key/1", "key/2"),
            topics=self.topics,
            clock=lambda: datetime.now(UTC),
        )

    @property
    def jobs(self) -> IotJobs:
        things = f"arn:aws:iot:{self.cloud.region}:{self.cloud.account}:thing/"
        return IotJobs(client(self.cloud, "iot"), things, self.topics)

    def seen(self) -> Any:
        return seen(self.cloud, self.thing)


@pytest.fixture
def stages(cloud: Cloud, tmp_path: Path) -> tuple[DeployedStage, DeployedStage]:
    """Return both stages with newly enrolled agents."""
    first, second = (
        DeployedStage(cloud, topics, new_device(cloud, tmp_path / topics.stage, NAME, topics))
        for topics in (PROD, EU)
    )
    return first, second


def seen(cloud: Cloud, thing: str) -> Any:
    """Return a thing's certificates, whether they are active, and their policies."""
    iot = client(cloud, "iot")
    found = iot.describe_thing(thingName=thing)
    arns = iot.list_thing_principals(thingName=thing)["principals"]
    hanging = {}
    for arn in arns:
        description = iot.describe_certificate(certificateId=arn.rpartition("/")[2])["certificateDescription"]
        policies = [one["policyName"] for one in iot.list_attached_policies(target=arn)["policies"]]
        hanging[arn] = description["status"], policies
    return found["thingId"], found["attributes"], found["version"], hanging


def an_update(update_id: str = "0123456789ab") -> Update:
    return Update(
        update_id=update_id,
        version="0.2.0",
        script="https://console.example/install.sh",
        digest="9c" * 32,
        release="signed.0.2.0.release",
        members=(Member(agent_id=NAME, stage=0, before="0.1.0"),),
        abort_above=0,
        healthy_within=60,
        created_by="ana@example.org",
        created_at=datetime.now(UTC),
    )


async def up(link: MqttLink) -> None:
    await asyncio.wait_for(link.wait_connected(), HANG_TIMEOUT_S)


async def following(link: MqttLink) -> tuple[str, bytes]:
    letter = await asyncio.wait_for(anext(link.messages()), HANG_TIMEOUT_S)
    letter.acknowledge()
    return letter.topic, letter.payload


async def test_each_hears_its_own_commands_and_jobs_alone(
    stages: tuple[DeployedStage, DeployedStage],
) -> None:
    prod, eu = stages
    update = an_update()
    async with prod.link() as first, eu.link() as second:
        await up(first)
        await up(second)
        prod.fleet.send(NAME, "for prod")
        prod.jobs.create_job(update, 0)
        eu.fleet.send(NAME, "for prod-eu")
        assert {(await following(first))[0] for _ in range(2)} == {
            prod.topics.commands(prod.thing),
            prod.topics.job_notifications(prod.thing),
        }
        topic, payload = await following(second)
        assert (topic, json.loads(payload)["token"]) == (eu.topics.commands(eu.thing), "for prod-eu")

        for forbidden in (eu.topics.reports(eu.thing), eu.topics.job_result(eu.thing, "job-1")):
            with pytest.raises(LinkError, match="not authorized"):
                await first.publish(forbidden, b"{}")

    assert eu.jobs.statuses(update, 0) is None
    eu.jobs.cancel_jobs(update)
    words = prod.jobs.statuses(update, 0)
    assert words is not None
    assert words[NAME].status == "QUEUED"


async def test_a_certificate_of_one_stage_does_not_connect_as_the_other_s_agent(
    stages: tuple[DeployedStage, DeployedStage],
) -> None:
    prod, eu = stages
    async with eu.link() as rightful:
        await up(rightful)
        posing = replace(prod.endpoint, client_id=eu.thing)
        async with MqttLink(posing, eu.topics.commands(eu.thing)) as link:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(link.wait_connected(), 3)
        assert rightful.connected, "and it does not push that one out"


@pytest.mark.parametrize("acting", [0, 1])
async def test_one_rotates_and_removes_and_the_other_goes_on(
    stages: tuple[DeployedStage, DeployedStage], acting: int
) -> None:
    mine, other = stages[acting], stages[1 - acting]
    before = other.seen()
    iot = registry(mine.cloud, mine.topics)
    async with mine.link() as leaving, other.link() as staying:
        await up(leaving)
        await up(staying)
        made = await asyncio.to_thread(iot.renew, NAME, new_csr()[1], ())
        assert [arn.rpartition("/")[2] for arn in mine.seen()[-1]] == [made.certificate_id]
        assert other.seen() == before

        await asyncio.to_thread(iot.deprovision, NAME)
        assert other.seen() == before
        await staying.publish(other.topics.reports(other.thing), b"{}")
        other.fleet.send(NAME, "still there")
        assert json.loads((await following(staying))[1])["token"] == "still there"
    async with mine.link() as removed, other.link() as staying:
        await up(staying)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(removed.wait_connected(), 3)
    await asyncio.to_thread(iot.provision, NAME, new_csr()[1])
    assert other.seen() == before


async def test_each_rule_hears_of_its_own_agents_come_and_go(
    cloud: Cloud, stages: tuple[DeployedStage, DeployedStage], tmp_path: Path
) -> None:
    """The broker reports presence of every client in the account, including another team's server-b."""
    queues = {
        topics.stage: new_rule_queue(cloud, topics.presence_rule, topics.presence_sql)
        for topics in (PROD, EU)
    }
    foreign = a_foreign_device(cloud, tmp_path / "foreign", NAME)
    async with MqttLink(foreign, "lighting/server-b") as link:
        await up(link)
    for stage in stages:
        async with stage.link() as link:
            await up(link)
    for stage in stages:
        events = await asyncio.to_thread(received, cloud, queues[stage.topics.stage], 2)
        assert sorted((one["clientId"], one["eventType"]) for one in events) == [
            (stage.thing, "connected"),
            (stage.thing, "disconnected"),
        ]


@pytest.mark.parametrize("attributes", [{}, {"crosshaul-stage": "prod-eu"}])
async def test_another_s_thing_under_a_name_of_ours_keeps_its_certificate_and_its_connection(
    cloud: Cloud, tmp_path: Path, attributes: dict[str, str]
) -> None:
    name = f"server-{len(attributes)}"
    thing = PROD.thing(name)
    foreign = a_foreign_device(cloud, tmp_path / "foreign", thing, attributes)
    before = seen(cloud, thing)
    async with MqttLink(foreign, "lighting/scenes") as link:
        await up(link)
        mine = registry(cloud, PROD)
        for deed in (
            lambda: mine.check_owner(name),
            lambda: mine.provision(name, new_csr()[1]),
            lambda: mine.renew(name, new_csr()[1], ()),
            lambda: mine.revoke_others(name, ()),
            lambda: mine.deprovision(name),
        ):
            with pytest.raises(ThingForeignError):
                await asyncio.to_thread(deed)
        await link.publish("lighting/scenes", b"on")
        assert await following(link) == ("lighting/scenes", b"on")
    assert seen(cloud, thing) == before


def a_foreign_device(
    cloud: Cloud, folder: Path, thing: str, attributes: dict[str, str] | None = None
) -> BrokerEndpoint:
    """Return a device of another team, whose policy allows everything."""
    iot, (key, csr) = client(cloud, "iot"), new_csr()
    made = iot.create_certificate_from_csr(certificateSigningRequest=csr, setAsActive=True)
    iot.create_thing(thingName=thing, attributePayload={"attributes": attributes or {"team": "lighting"}})
    iot.attach_thing_principal(thingName=thing, principal=made["certificateArn"])
    name = f"lamps-{thing.replace(':', '-')}"
    iot.create_policy(policyName=name, policyDocument=policy(allow("iot:*", "*")))
    iot.attach_policy(policyName=name, target=made["certificateArn"])
    assert name != device_policy(PROD)
    return device_files(cloud, folder, thing, key, made["certificatePem"])
