"""Print a transfer in full, for `show` and for the end of `--watch`."""

from itertools import zip_longest

from agent.cli import output
from agent.cli.arguments import tag_text
from agent.cli.output import STYLES
from agent.cli.progress import seconds_left, share
from agent.cli.text import ago, clean, clock, counted, money, person, size, span
from agent.cli.waiting import REPORT_OVERDUE_S, AgentCache, hop_reasons, paused_by
from events.base import Problem, TransferId
from events.options import Options
from events.progress import Loss, Losses, Progress, SpaceShortage
from events.reports import Amount, DryRunResult
from events.states import HopState
from events.views import Approval, Cost, HopView, TimelineEntry, TransferView

_NAMED_FAILURES = 10
"""Files listed per hop; `--json` has all that the agent sent."""


def print_transfer(view: TransferView, agents: AgentCache) -> None:
    """Print the transfer, and of each hop that does not move, why."""
    _head(view)
    for hop in view.hops:
        print_hop(hop)
        for reason in () if hop.problem and hop.state is HopState.PAUSED else hop_reasons(hop, agents):
            output.say(f"  It {clean(reason)}.", style="yellow")
    output.say("\nTimeline", style="bold")
    for entry in reversed(view.timeline):  # newest first, as in lists and in the console
        output.say(f"  {_timeline_line(entry)}")
    if view.timeline_next:
        output.say("  …  (earlier entries: in the console)", style="dim")


def _head(view: TransferView) -> None:
    output.say(f"Transfer {view.transfer_id}  {view.state}", style=f"bold {STYLES.get(view.state, '')}")
    output.say(f"  from  {clean(str(view.source))}{_selected(view)}")
    for place in view.destinations:
        output.say(f"  to    {clean(str(place))}")
    template = f", by template {view.template_id}" if view.template_id else ""
    created = f"{clock(view.created_at)} ({ago(view.created_at)})"
    output.say(f"  requested by {clean(person(view.created_by))} at {created}{template}", style="dim")
    if view.cost and (view.cost.dollars or view.cost.storage_a_month):
        output.say(f"  {_cost(view.cost)}", style="dim")
    if view.approval:
        output.say(
            f"  {_approval(view.approval, view.transfer_id)}", style="" if view.approval.by else "yellow"
        )
    if by := paused_by(view):
        output.say(f"  paused by {clean(by)}: crosshaul resume {view.transfer_id}", style="yellow")
    if options := _non_default(view.options):
        output.say(f"  with {options}", style="dim")


def _cost(cost: Cost) -> str:
    """Return what the transfer costs: `costs at most $9.02 (S3 requests $0.02, out of AWS $9.00)`."""
    kinds = {"S3 requests": cost.requests, "out of AWS": cost.egress, "relay": cost.relay}
    parts = [f"{kind} {money(amount)}" for kind, amount in kinds.items() if amount]
    verb = "cost" if cost.final else "costs"
    stored = f"; storage {money(cost.storage_a_month)} a month" if cost.storage_a_month else ""
    detail = f" ({', '.join(parts)})" if parts else ""
    bound = "" if 0 < cost.dollars < 0.01 else "at most "  # below a cent, the amount says it itself
    return f"{verb} {bound}{money(cost.dollars)}{detail}{stored}, by list prices of {cost.prices_as_of}"


def _approval(approval: Approval, transfer_id: TransferId) -> str:
    policies = clean(", ".join(approval.policies))
    if approval.by:
        return f"approved by {clean(approval.by.name)} at {clock(approval.at)} (policies: {policies})"
    if approval.declined_by and approval.declined_at:
        when = clock(approval.declined_at)
        return f"declined by {clean(approval.declined_by.name)} at {when}: {clean(approval.why)}"
    requesters = clean(", ".join(person.name for person in approval.asked_for))
    command = f"crosshaul approve {transfer_id}"
    return f"needs approval by a person other than {requesters} (policies: {policies}): {command}"


def _selected(view: TransferView) -> str:
    return "" if view.selection_count is None else f"  ({counted(view.selection_count, 'object')})"


def _non_default(options: Options) -> str:
    chosen = options.model_dump(mode="json", exclude_defaults=True)
    return ", ".join(_option_text(name.replace("_", " "), value) for name, value in chosen.items())


def _option_text(name: str, value: object) -> str:
    """Return an option as text: `move`, `exclude proxies/ *.tmp`, `streams 4`, `tag site=ber, tag job=7`."""
    if value is True:
        return name
    if isinstance(value, dict):
        return clean(", ".join(f"tag {tag_text(key, text)}" for key, text in value.items()))
    if name == "bandwidth limit" and isinstance(value, int):
        return f"{name} {size(value)}/s"
    values = value if isinstance(value, list) else [value]
    return clean(" ".join([name, *map(_value_text, values)]))


def _value_text(value: object) -> str:
    if not isinstance(value, dict):
        return str(value)
    limit = size(value["limit"]) if value["limit"] else "off"
    days = ",".join(value["days"]) or "daily"
    return f"{days} {value['start'][:5]}-{value['end'][:5]} {limit} {value['zone']}"


def print_hop(hop: HopView) -> None:
    output.say(f"\nHop {_hop_number(hop.hop_id)}  {hop.state}", style=f"bold {STYLES.get(hop.state, '')}")
    output.say(f"  {clean(str(hop.source))} → {clean(str(hop.destination))}")
    output.say(f"  {_route_line(hop)}")
    if not hop.preview:
        if hop.progress.files_total is not None or hop.progress.files_done:
            output.say(f"  {amounts(hop.progress)}{_speed(hop)}")
        if lost := not_kept(hop.progress.lost):
            output.say(f"  not kept: {lost}", style="yellow")
        if hop.seconds_since_report is not None and hop.seconds_since_report > REPORT_OVERDUE_S:
            output.say(f"  no report from its agent for {span(hop.seconds_since_report)}", style="yellow")
        if hop.progress.space_shortage and hop.ended_at is None:
            output.say(f"  {shortage(hop.progress.space_shortage)}", style="yellow")
    if hop.preview:
        print_preview(hop.preview)
    print_problems(hop)


def _speed(hop: HopView) -> str:
    """Return the speed by the last report and what is left at that speed: `, 20.0 KiB/s, 40 min 2 s left`."""
    rate = hop.progress.bytes_per_second
    if hop.state is not HopState.RUNNING or not rate:
        return ""
    left = seconds_left(hop.progress, rate)
    return f", {size(rate)}/s" + (f", {span(left)} left" if left is not None else "")


def _hop_number(hop_id: str) -> int:
    """Return the hop's number, counted from 1."""
    return int(hop_id.rpartition("-")[2]) + 1


def _route_line(hop: HopView) -> str:
    parts = [hop.via or hop.route]
    if hop.connection and hop.connection.congestion_control:
        parts.append(f"congestion control {hop.connection.congestion_control}")
    if hop.attempt > 1:
        parts.append(f"attempt {hop.attempt}")
    if hop.after and hop.state is HopState.WAITING:
        parts.append(f"waits for hop {_hop_number(hop.after)}")
    if hop.digest and not hop.preview:
        parts.append(f"digest {hop.digest}")
    return clean(", ".join(parts))


def amounts(progress: Progress) -> str:
    """Return progress as text: `67%, 700.0 MiB of 1.0 GiB, 2,100 of 3,002 files (12 unchanged)`."""
    parts = [] if share(progress) == "–" else [share(progress)]
    parts.append(f"{size(progress.bytes_done)}{_of(progress.bytes_total)}")
    total, done = progress.files_total, progress.files_done
    files = counted(done, "file") if total is None else f"{done:,} of {counted(total, 'file')}"
    return ", ".join([*parts, files + _unchanged_and_removed(progress)])


def total_amounts(view: TransferView, total: Progress) -> str:
    """Return a transfer's progress as text; of several hops as `67% of 1.0 GiB, 3,002 files`.

    What has arrived is not the same at each destination, so only the share of the work says something true.
    """
    done = share(total)
    if len(view.hops) == 1 or done == "–":
        return amounts(total)
    files = "" if total.files_total is None else f", {counted(total.files_total, 'file')}"
    return f"{done} of {size(total.bytes_total)}{files}{_unchanged_and_removed(total)}"


def _unchanged_and_removed(progress: Progress) -> str:
    unchanged = f" ({progress.files_unchanged:,} unchanged)" if progress.files_unchanged else ""
    removed = f", {progress.files_removed:,} removed" if progress.files_removed else ""
    return unchanged + removed


_LOSS_NAMES: dict[Loss, str] = {
    "xattr": "extended attributes",
    "acl": "access control lists",
    "setid": "setuid or setgid",
    "mode": "directory modes",
    "time": "times",
    "name": "reserved names",
}


def not_kept(lost: Losses) -> str:
    """Return what is not kept as text, empty if everything is: `extended attributes of 3, times of 1`."""
    counts = {text: getattr(lost, loss) for loss, text in _LOSS_NAMES.items()}
    return ", ".join(f"{text} of {count:,}" for text, count in counts.items() if count)


def _of(total: int | None) -> str:
    return "" if total is None else f" of {size(total)}"


_CHANGES = (("sent", "would be sent"), ("replaced", "would be replaced"), ("removed", "would be removed"))
_UNTOUCHED = (("kept", "differ and would stay"), ("unchanged", "are the same"))
_FAILING = (("failed", "would not arrive"),)
_ONLY_IF_ANY = {"kept", "removed", "failed"}


def print_preview(preview: DryRunResult) -> None:
    """Print a dry run's result: `12 files would be sent (1.5 GiB)`, each line with example paths."""
    for kind, words in (*_CHANGES, *_UNTOUCHED, *_FAILING):
        amount: Amount = getattr(preview, kind)
        if not amount.files and kind in _ONLY_IF_ANY:
            continue
        output.say(f"  {counted(amount.files, 'file')} {words} ({size(amount.bytes)})")
        for path in preview.examples.get(kind, ())[:_NAMED_FAILURES]:
            output.say(f"      {clean(path)}", style="dim")
    if preview.space_shortage:
        output.say(f"  {shortage(preview.space_shortage)}", style="yellow")


def shortage(space: SpaceShortage) -> str:
    return (
        f"not enough free space: {size(space.wanted)} to write, {size(space.free)} free; "
        "the transfer pauses when the disk is full"
    )


def print_problems(hop: HopView) -> None:
    shown = hop.failures[:_NAMED_FAILURES]
    if hop.problem:
        _problem(hop.problem, "  ", advises=not shown or hop.problem.advice != shown[0].advice)
    for failure, following in zip_longest(shown, shown[1:]):
        _problem(failure, "    ", advises=following is None or failure.advice != following.advice)
    total = max(hop.failures_total, len(hop.failures))
    if (more := total - min(len(hop.failures), _NAMED_FAILURES)) > 0:
        output.say(f"    and {counted(more, 'file')} more that did not arrive", style="red")


def _problem(problem: Problem, indent: str, *, advises: bool) -> None:
    """Print a problem, and its advice unless the next one has the same."""
    where = f" ({problem.path})" if problem.path and problem.path not in problem.message else ""
    output.say(f"{indent}{clean(problem.message + where)}", style="red")
    if problem.advice and advises:
        output.say(f"{indent}→ {clean(problem.advice)}")


def _timeline_line(entry: TimelineEntry) -> str:
    reason = f": {entry.problem.message}" if entry.problem else ""
    times = f", {entry.times} times" if entry.times > 1 else ""
    return f"{clock(entry.at)}  {clean(entry.what)}{clean(reason)}{times}  by {clean(person(entry.by))}"
