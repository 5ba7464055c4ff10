/** Locations while they are edited: a place and a path, and their text for the API. */
import { locationText } from "../format/names";
import { t } from "../i18n";
import type { Location } from "../types";

export const S3 = "s3://";

export interface Draft {
  /** An agent's name, `s3://`, or empty. */
  place: string;
  /** `/absolute/path` or `remote:path` on an agent, `bucket/prefix` on S3. */
  path: string;
}

export const EMPTY: Draft = { place: "", path: "" };

export function draftText({ place, path }: Draft): string {
  return place === S3 ? `${S3}${path}` : `${place}:${path}`;
}

/** Split a location's text into place and path. Text that is not a location has no place. */
export function draftFrom(text: string): Draft {
  if (text.startsWith(S3)) return { place: S3, path: text.slice(S3.length) };
  const colon = text.indexOf(":");
  return colon < 0 ? { place: "", path: text } : { place: text.slice(0, colon), path: text.slice(colon + 1) };
}

/** Return the draft with a newly typed path. A pasted location (`s3://…`, `server-b:/…`) changes the place. */
export function withTypedPath(draft: Draft, text: string, agents: readonly string[] = []): Draft {
  const typed = draftFrom(text.trim());
  const isOnAgent = agents.includes(typed.place) && (typed.path.startsWith("/") || REMOTE.test(typed.path));
  return typed.place === S3 || isOnAgent ? typed : { ...draft, path: text };
}

export function draftOf(location: Location): Draft {
  const text = locationText(location);
  return location.kind === "s3"
    ? { place: S3, path: text.slice(S3.length) }
    : { place: location.agent_id, path: text.slice(location.agent_id.length + 1) };
}

const REMOTE = /^[A-Za-z0-9_.][A-Za-z0-9_.+@-]{0,63}:/;

/** Return whether the draft is on an rclone remote of an agent. */
export function isOnRemote(draft: Draft): boolean {
  return remoteIn(draft) !== "";
}

/** Split a path into remote and absolute path, as the browse API takes them. */
export function directoryOf(path: string): { remote: string | null; path: string } {
  const remote = REMOTE.exec(path)?.[0];
  return remote
    ? { remote: remote.slice(0, -1), path: `/${path.slice(remote.length)}` }
    : { remote: null, path };
}

/** Split a path on S3 into bucket and prefix. */
export function bucketOf(path: string): { bucket: string; prefix: string } {
  const [bucket = "", ...names] = path.split("/");
  return { bucket, prefix: names.join("/") };
}

/** Return the remote of the draft with its colon (`archive:`), or an empty string. */
export function remoteIn({ place, path }: Draft): string {
  return (place !== S3 && REMOTE.exec(path)?.[0]) || "";
}

const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](\/|$)/;

/** Return what is wrong with the draft's text, or an empty string. The API validates again. */
export function draftError({ place, path }: Draft, directory = false): string {
  if (!place) return t().location.choose;
  if (place === S3) {
    if (!BUCKET.test(path)) return t().location.writeBucket;
  } else if (!path.startsWith("/") && !REMOTE.test(path)) {
    return t().location.absolute;
  }
  if (path.replace(REMOTE, "").split("/").includes("..")) return t().location.dots;
  return directory && !isContents({ place, path }) ? t().location.directory : "";
}

function lastName(path: string): string {
  return path.replace(REMOTE, "").replace(/\/+$/, "").split("/").pop() ?? "";
}

function isContents({ place, path }: Draft): boolean {
  if (place !== S3 && path.replace(REMOTE, "") === "") return true;
  return path.endsWith("/") || (place === S3 && !path.includes("/"));
}

/**
 * Explain where the files will arrive, by rsync's rule of trailing slashes. Empty while an end is invalid.
 */
export function arrivalText(source: Draft, destination: Draft): string {
  if (draftError(source) || draftError(destination)) return "";
  const name = lastName(source.path);
  const into = /[/:]$/.test(destination.path) ? destination.path : `${destination.path}/`;
  if (isContents(source)) {
    const sourceName = name && source.path.includes("/") ? name : "";
    return t().location.contents(sourceName, into);
  }
  return isContents(destination)
    ? t().location.itself(name, into + name)
    : t().location.named(name, destination.path);
}

/** Join path and name: `/data` + `videos` → `/data/videos`; `archive:` + `photos` → `archive:photos`. */
export function joined(directory: string, name: string): string {
  return isTop(directory) ? `${directory}${name}` : `${directory.replace(/\/+$/, "")}/${name}`;
}

/** Return whether the path is a remote without a path on it. */
function isTop(path: string): boolean {
  return REMOTE.exec(path)?.[0] === path;
}

/** Return the breadcrumbs of a path, starting at the root or remote that contains it. */
export function trail(path: string, roots: readonly string[]): { text: string; path: string }[] {
  const root =
    roots.filter((one) => within(path, one)).sort((one, other) => other.length - one.length)[0] ?? "/";
  const steps = [{ text: root, path: root }];
  for (const name of path.slice(root.length).split("/").filter(Boolean)) {
    steps.push({ text: name, path: joined(steps[steps.length - 1]?.path ?? root, name) });
  }
  return steps;
}

export function within(path: string, root: string): boolean {
  return path === root || path.startsWith(joined(root, ""));
}
