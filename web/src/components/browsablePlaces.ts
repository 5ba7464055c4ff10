/** Places to browse: an agent with its roots and remotes, or the buckets of S3. */
import type { Api } from "../api/client";
import { newKey } from "../api/idempotency";
import { bytes } from "../format/sizes";
import { t } from "../i18n";
import { bucketOf, directoryOf, within } from "../model/locations";
import type { Agent, BucketListing, Listing } from "../types";

/** Where browsing starts: a root of the agent, a remote (`archive:`), or a bucket. */
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
  /** Name for display. */
  name: string;
  roots: BrowsableRoot[];
  /** Whether directories are only key prefixes, as in S3. */
  flat: boolean;
  /** Column title of the roots, and the text shown if there are none. */
  rootsLabel: string;
  noRoots: string;
  list(api: Api, path: string, request: ListRequest): Promise<Pick<Listing, "entries" | "next">>;
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
    list: (api, path, request) =>
      api.post<Listing>(
        `/agents/${encodeURIComponent(agent.agent_id)}/browse`,
        { ...directoryOf(path), ...request },
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
    list: (api, path, request) => {
      const { bucket, prefix } = bucketOf(path);
      return api.post<BucketListing>(`/buckets/${bucket}/browse`, { prefix, ...request }, newKey());
    },
  };
}

/**
 * Return where browsing starts: the directory in the field if it is inside a root, or the only root; else
 * null.
 */
export function startPath(text: string, { roots: tops }: BrowsablePlace): string | null {
  const directory = tops.some(({ path }) => path === text) ? text : directoryIn(text);
  if (text && tops.some((top) => within(directory, top.path))) return directory;
  const [only, ...others] = tops;
  return only && others.length === 0 ? only.path : null;
}

/** Return the path without its last name, which may be incomplete. */
function directoryIn(text: string): string {
  const slash = text.lastIndexOf("/");
  if (slash > 0) return text.slice(0, slash);
  return text.startsWith("/") ? "/" : text.slice(0, text.indexOf(":") + 1);
}
