import { locationText } from "../../format/names";
import type { Template, TemplateRequest } from "../../types";

/** The request that would make the template as it is. */
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
