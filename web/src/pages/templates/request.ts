import { locationText } from "../../format/names";
import { DEFAULT_OPTIONS } from "../../model/options";
import type { Template, TemplateRequest } from "../../types";

/** The initial request for a new template. */
export const EMPTY: TemplateRequest = {
  name: "",
  description: "",
  trigger: { bucket: "", prefix: "", suffix: "" },
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
