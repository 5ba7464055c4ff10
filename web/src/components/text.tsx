/** Small text components shared by all pages. */
import Badge from "@cloudscape-design/components/badge";
import Link from "@cloudscape-design/components/link";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { Fragment } from "react";
import { elided, locationText, safeText } from "../format/names";
import { problemWords, type Reported } from "../format/problems";
import { stateDisplay } from "../format/states";
import { ago, clockSkew, isClockWrong, local, utc } from "../format/times";
import { useNow } from "../hooks/useNow";
import { t } from "../i18n";
import type { StateReason } from "../live/stateReason";
import { href } from "../router";
import type { Location, TransferSummary } from "../types";

/** A name from outside, isolated so that its writing direction cannot affect the text around it. */
export function Name({ children }: { children: string }) {
  return (
    <bdi className="name">
      <Breakable>{safeText(children)}</Breakable>
    </bdi>
  );
}

/** Text of names that may break after slashes, and before `@`: better than in the middle of a word. */
export function Breakable({ children }: { children: string }) {
  const [first, ...others] = children.split(/(?<=\/)(?=[^/])|(?=@)/);
  let end = first?.length ?? 0;
  return (
    <>
      {first}
      {others.map((part) => {
        end += part.length;
        return (
          <Fragment key={end}>
            <wbr />
            {part}
          </Fragment>
        );
      })}
    </>
  );
}

/** Names that are listed before the others are only counted. */
const MAX_LISTED = 8;

/** Names in one line: the first few, shortened, and how many more there are. */
export function NameList({ names }: { names: readonly string[] }) {
  const shown = names.slice(0, names.length > MAX_LISTED + 1 ? MAX_LISTED : names.length);
  const more = names.length - shown.length;
  return (
    <>
      {shown.map((name, number) => (
        <span key={name} title={safeText(name)}>
          {number > 0 && ", "}
          <Name>{names.length === 1 ? name : elided(safeText(name), 40)}</Name>
        </span>
      ))}
      {more > 0 && t().common.andMore(more)}
    </>
  );
}

/** A problem reported by an agent or the API, with its title in front where its words have no translation. */
export function ProblemText({ problem }: { problem: Reported }) {
  const { title, message, advice, lang } = problemWords(problem);
  return (
    <>
      {lang && title && `${title}. `}
      <ReportedText lang={lang}>{`${message} ${advice}`.trim()}</ReportedText>
    </>
  );
}

/** Text from an agent or the API, with its language where that is not the console's. */
export function ReportedText({ children, lang }: { children: string; lang: "en" | undefined }) {
  return (
    <bdi className="name" lang={lang}>
      {safeText(children)}
    </bdi>
  );
}

/** A location. The agent's name never breaks at its dashes. */
export function LocationName({ at }: { at: Location }) {
  const [text, start] = [locationText(at), at.kind === "s3" ? 0 : at.agent_id.length + 1];
  return (
    <bdi className="name">
      <span className="whole">{safeText(text.slice(0, start))}</span>
      <Breakable>{safeText(text.slice(start))}</Breakable>
    </bdi>
  );
}

/** A location whose agent is a link to its page. */
export function LocationLink({ at }: { at: Location }) {
  if (at.kind === "s3") return <LocationName at={at} />;
  const path = locationText(at).slice(at.agent_id.length);
  return (
    <bdi className="name">
      <AgentLink name={at.agent_id} />
      <Breakable>{safeText(path)}</Breakable>
    </bdi>
  );
}

/** The name of an agent, as a link to its page. It never breaks at its dashes. */
export function AgentLink({ name }: { name: string }) {
  return (
    <Link href={href("agents", name)} fontSize="inherit">
      <span className="whole">{safeText(name)}</span>
    </Link>
  );
}

/** A time in the viewer's zone, with UTC on hover. */
export function When({ at, relative = false }: { at: string; relative?: boolean }) {
  return (
    <time dateTime={at} title={relative ? `${local(at)} · ${utc(at)}` : utc(at)}>
      {relative ? <Ago at={at} /> : local(at)}
    </time>
  );
}

function Ago({ at }: { at: string }) {
  return <>{ago(at, useNow())}</>;
}

/** Offset of an agent's clock from the control plane's. */
export function ClockSkew({ skew }: { skew: number | null | undefined }) {
  if (skew === null || skew === undefined) return "–";
  const words = clockSkew(skew);
  return isClockWrong(skew) ? <StatusIndicator type="error">{words}</StatusIndicator> : words;
}

interface StatusBadgeProps {
  of: Pick<TransferSummary, "state" | "dry_run">;
  reason?: StateReason | null;
}

/** State of a transfer, with a badge if it is a dry run. */
export function StatusBadge({ of: { state, dry_run }, reason = null }: StatusBadgeProps) {
  return (
    <>
      <State of={state} reason={reason} />
      {dry_run && (
        <>
          {" "}
          <Badge color="blue">{t().preview.title}</Badge>
        </>
      )}
    </>
  );
}

/** A state, with its reason; one that is other than it should be does not look healthy. */
export function State({ of, reason = null }: { of: string; reason?: StateReason | null }) {
  const look = stateDisplay(of);
  return (
    <StatusIndicator
      type={reason?.warns ? "warning" : look.type}
      {...(look.color && !reason?.warns && { colorOverride: look.color })}
    >
      <span className="words">{look.label}</span>
      {reason && (
        <>
          {" · "}
          <Name>{safeText(reason.text)}</Name>
        </>
      )}
    </StatusIndicator>
  );
}
