import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useRef } from "react";
import { createIdempotentRequest } from "../api/idempotency";
import { useApi } from "../appContext";
import type { Transfer, TransferRequest } from "../types";

/** Create a transfer. A second click sends the same idempotency key. */
export function useCreateTransfer(onCreated?: (transfer: Transfer) => void) {
  const api = useApi();
  const queries = useQueryClient();
  const request = useRef(createIdempotentRequest());
  return useMutation({
    mutationFn: (body: TransferRequest) =>
      api.post<Transfer>("/transfers", body, request.current.keyFor(body)),
    onSuccess: (transfer) => {
      request.current.completed();
      queries.invalidateQueries({ queryKey: ["transfers"] });
      onCreated?.(transfer);
    },
  });
}
