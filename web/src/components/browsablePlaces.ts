/** What can be browsed: an agent with the remotes of its host, or S3. Where that begins, and what lies there. */
import type { Api } from "../api/client";
import { newKey } from "../api/idempotency";
import { bytes } from "../format/sizes";
import { t } from "../i18n";
import { bucketOf, directoryOf, within } from "../model/locations";
import type { Agent, BucketListing, Listing } from "../types";

/** Something to begin at: a root of the agent, a remote of its host, `archive:`, or a bucket. */
interface Top {
  path: string;
  access: "ro" | "rw";
  about: string;
}

interface Asked {
  after: string | null;
  limit: number;
  find: string;
}

export interface Place {
  /** As people call it. */
  name: string;
  tops: Top[];
  /** It has no directories of its own: what is shown as one is a prefix, and stands for what is under it. */
  flat: boolean;
  /** How to call its tops, and what to say where there is none. */
  topsAre: string;
  none: string;
  list(api: Api, path: string, asked: Asked): Promise<Pick<Listing, "entries" | "next">>;
}

export function onAgent(agent: Agent): Place {
  const roots = agent.roots.map(({ path, access, free }) => {
    return { path, access, about: free === null ? t().browser.gone : bytes(free) };
  });
  const remotes = agent.capabilities.remotes.map(({ name, access, type }) => {
    return { path: `${name}:`, access, about: t().browser.remote(type) };
  });
  return {
    name: agent.agent_id,
    tops: [...roots, ...remotes],
    flat: false,
    topsAre: t().browser.root,
    none: t().browser.noRoots,
    list: (api, path, asked) =>
      api.post<Listing>(
        `/agents/${encodeURIComponent(agent.agent_id)}/browse`,
        { ...directoryOf(path), ...asked },
        newKey(),
      ),
  };
}

export function onS3(buckets: readonly string[]): Place {
  return {
    name: "S3",
    tops: buckets.map((path) => ({ path, access: "rw", about: "" })),
    flat: true,
    topsAre: t().browser.bucket,
    none: t().browser.noBuckets,
    list: (api, path, asked) => {
      const { bucket, prefix } = bucketOf(path);
      return api.post<BucketListing>(`/buckets/${bucket}/browse`, { prefix, ...asked }, newKey());
    },
  };
}

/** The directory the field names, if it lies in something to begin at; else what there is of that, or the only
 * one. */
export function startingAt(text: string, { tops }: Place): string | null {
  const directory = tops.some(({ path }) => path === text) ? text : directoryIn(text);
  if (text && tops.some((top) => within(directory, top.path))) return directory;
  const [only, ...others] = tops;
  return only && others.length === 0 ? only.path : null;
}

/** All but the last name, which may not be written to its end. */
function directoryIn(text: string): string {
  const slash = text.lastIndexOf("/");
  if (slash > 0) return text.slice(0, slash);
  return text.startsWith("/") ? "/" : text.slice(0, text.indexOf(":") + 1);
}
