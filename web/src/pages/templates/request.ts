import { locationText } from "../../format/names";
import { DEFAULT_OPTIONS } from "../../model/options";
import type { Template, TemplateRequest, Transfer } from "../../types";

/** Longest time for which a template gathers objects (events/requests.py). */
export const MAX_GATHER_SECONDS = 300;

/** The initial request for a new template. */
export const EMPTY: TemplateRequest = {
  name: "",
  description: "",
  trigger: { bucket: "", prefix: "", suffix: "", gather_seconds: 0 },
  destinations: [],
  shape: "fan_out",
  options: DEFAULT_OPTIONS,
  enabled: true,
};

/** Return the request that would create this template. */
export function requestOf(template: Template): TemplateRequest {
  return {
    name: template.template_id,
    description: template.description,
    trigger: template.trigger,
    destinations: template.destinations.map(locationText),
    shape: template.shape,
    options: template.options,
    enabled: template.enabled,
  };
}

/** Return the request of a template that would transfer new objects as this transfer did. */
export function templateLike({ source, destinations, shape, options }: Transfer): TemplateRequest {
  const trigger =
    source.kind === "s3" ? { ...EMPTY.trigger, bucket: source.bucket, prefix: source.prefix } : EMPTY.trigger;
  return {
    ...EMPTY,
    trigger,
    destinations: destinations.map(locationText),
    shape,
    options: { ...options, dry_run: false },
  };
}
