/** Hash routes, which need no rewrite rule on the server: `#/transfers?status=running`. */
import { useSyncExternalStore } from "react";

export interface Route {
  /** `["transfers", "k3v9…"]` */
  path: string[];
  query: URLSearchParams;
}

export function parseRoute(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  return { path: path.split("/").filter(Boolean).map(decode), query: new URLSearchParams(query) };
}

/** Return the address of a page: `href("transfers", id)` → `#/transfers/<id>`. */
export function href(...path: string[]): string {
  return `#/${path.map(encodeURIComponent).join("/")}`;
}

/** Return an address with a query; a parameter without a value is left out, one with several is repeated. */
export function hrefWith(path: string, query: Record<string, string | null | readonly string[]>): string {
  const given = Object.entries(query).flatMap(([name, value]) =>
    [value ?? ""].flat().flatMap((one) => (one ? [[name, one]] : [])),
  );
  const place = href(...path.split("/"));
  return given.length ? `${place}?${new URLSearchParams(given)}` : place;
}

export function go(address: string): void {
  window.location.hash = address;
}

export function useRoute(): Route {
  return parseRoute(useSyncExternalStore(subscribe, () => window.location.hash));
}

function subscribe(listener: () => void): () => void {
  window.addEventListener("hashchange", listener);
  return () => window.removeEventListener("hashchange", listener);
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
