/** What can be browsed: an agent with the remotes of its host, or S3. Where that begins, and what lies there. */
import type { Api } from "../api/client";
import { newKey } from "../api/idempotency";
import { bytes } from "../format/sizes";
import { t } from "../i18n";
import { bucketOf, directoryOf, within } from "../model/locations";
import type { Agent, BucketListing, Listing } from "../types";

/** Something to begin at: a root of the agent, a remote of its host, `archive:`, or a bucket. */
interface BrowsableRoot {
  path: string;
  access: "ro" | "rw";
  about: string;
}

interface ListRequest {
  after: string | null;
  limit: number;
  find: string;
}

export interface BrowsablePlace {
  /** As people call it. */
  name: string;
  roots: BrowsableRoot[];
  /** It has no directories of its own: what is shown as one is a prefix, and stands for what is under it. */
  flat: boolean;
  /** How to call its tops, and what to say where there is none. */
  rootsLabel: string;
  noRoots: string;
  list(api: Api, path: string, asked: ListRequest): Promise<Pick<Listing, "entries" | "next">>;
}

export function agentPlace(agent: Agent): BrowsablePlace {
  const roots = agent.roots.map(({ path, access, free }) => {
    return { path, access, about: free === null ? t().browser.notFound : bytes(free) };
  });
  const remotes = agent.capabilities.remotes.map(({ name, access, type }) => {
    return { path: `${name}:`, access, about: t().browser.remote(type) };
  });
  return {
    name: agent.agent_id,
    roots: [...roots, ...remotes],
    flat: false,
    rootsLabel: t().browser.root,
    noRoots: t().browser.noRoots,
    list: (api, path, asked) =>
      api.post<Listing>(
        `/agents/${encodeURIComponent(agent.agent_id)}/browse`,
        { ...directoryOf(path), ...asked },
        newKey(),
      ),
  };
}

export function s3Place(buckets: readonly string[]): BrowsablePlace {
  return {
    name: "S3",
    roots: buckets.map((path) => ({ path, access: "rw", about: "" })),
    flat: true,
    rootsLabel: t().browser.bucket,
    noRoots: t().browser.noBuckets,
    list: (api, path, asked) => {
      const { bucket, prefix } = bucketOf(path);
      return api.post<BucketListing>(`/buckets/${bucket}/browse`, { prefix, ...asked }, newKey());
    },
  };
}

/** The directory the field names, if it lies in something to begin at; else what there is of that, or the only
 * one. */
export function startPath(text: string, { roots: tops }: BrowsablePlace): string | null {
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
