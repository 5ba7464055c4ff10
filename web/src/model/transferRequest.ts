/** The request that would start a transfer again: for a preview, a similar transfer, a template, a command. */
import { locationText } from "../format/names";
import type { Transfer, TransferRequest } from "../types";

export function requestOf({ source, destinations, shape, options }: Transfer): TransferRequest {
  return {
    source: locationText(source),
    destinations: destinations.map(locationText),
    shape,
    options: { ...options, dry_run: false },
  };
}

/** Return the request of a dry run of the transfer, which writes nothing. */
export function previewOf(transfer: Transfer): TransferRequest {
  const request = requestOf(transfer);
  return { ...request, options: { ...transfer.options, dry_run: true } };
}
