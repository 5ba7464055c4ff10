import { cleanup, configure } from "@testing-library/react";
import { afterEach, vi } from "vitest";

// Below the limit of a test in vite.config.ts, so that what was waited for is told.
configure({ asyncUtilTimeout: 60_000 });

afterEach(() => {
  cleanup();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
  vi.useRealTimers();
  sessionStorage.clear();
});
