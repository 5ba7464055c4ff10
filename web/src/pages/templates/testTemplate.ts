/**
 * What an upload would start, by the control plane's rules (lambdas/domain/template.py and
 * object_batch.py).
 */
import type { TemplateRequest } from "../../types";

export interface Upload {
  /** Default: the template's bucket. */
  bucket?: string;
  key: string;
  size?: number;
}

export type Mismatch = "bucket" | "prefix" | "suffix" | "folder" | "unfinished" | "unfit";
export type TestResult = { arrives: string[] } | { misses: Mismatch[] };

export function testUpload(
  { trigger, destinations }: TemplateRequest,
  { bucket, key, size }: Upload,
): TestResult {
  // The path below a destination starts after the prefix's last slash.
  const kept = key.slice(trigger.prefix.lastIndexOf("/") + 1);
  const checks: [Mismatch, boolean][] = [
    ["bucket", bucket === undefined || bucket === trigger.bucket],
    ["prefix", key.startsWith(trigger.prefix)],
    ["suffix", key.endsWith(trigger.suffix)],
    ["folder", !(key.endsWith("/") && size === 0)],
    ["unfinished", !/(^|\/)\.(crosshaul-|rclone)[^/]*$/.test(key)],
  ];
  const misses = checks.filter(([, right]) => !right).map(([what]) => what);
  if (misses.length === 0 && !canBeAFile(kept)) misses.push("unfit");
  if (misses.length) return { misses };
  return { arrives: destinations.map((place) => `${place}${kept}`) };
}

/** Return whether a key is a valid path below a directory. S3 allows keys that are not. */
function canBeAFile(path: string): boolean {
  return path.split("/").every((part) => !["", ".", ".."].includes(part) && !part.includes("\0"));
}

/** Return the uploads in a text: an object key, S3 events from EventBridge, or a batch from SQS. */
export function uploadsIn(text: string): Upload[] | null {
  if (!/^\s*[{[]/.test(text)) return [{ key: text }];
  try {
    return eventsIn(JSON.parse(text)).map(uploadOf);
  } catch {
    return null;
  }
}

interface Created {
  detail: { bucket: { name: string }; object: { key: string; size?: number } };
}

function eventsIn(body: unknown): Created[] {
  if (Array.isArray(body)) return body.flatMap(eventsIn);
  const { Records } = body as { Records?: { body: string }[] };
  return Records ? Records.flatMap(({ body }) => eventsIn(JSON.parse(body))) : [body as Created];
}

function uploadOf({ detail: { bucket, object } }: Created): Upload {
  if (typeof bucket.name !== "string" || typeof object.key !== "string") throw new TypeError("no object");
  return { bucket: bucket.name, key: object.key, size: object.size };
}

/** Return a sample EventBridge event for an upload under the template's prefix. */
export function sampleEvent({ trigger: { bucket, prefix, suffix } }: TemplateRequest): string {
  const event = {
    version: "0",
    "detail-type": "Object Created",
    source: "aws.s3",
    detail: {
      bucket: { name: bucket },
      object: { key: `${prefix}example${suffix}`, size: 1_048_576 },
      reason: "PutObject",
    },
  };
  return JSON.stringify(event, null, 2);
}
