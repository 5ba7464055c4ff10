import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

export default defineConfig({
  base: "./",
  plugins: [react()],
  build: {
    target: "es2022",
    // data: addresses and inlined modules would need a weaker content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1500,
  },
  test: {
    environment: "happy-dom",
    include: ["tests/**/*.test.{ts,tsx}"],
    setupFiles: ["tests/setup.ts"],
    // Only what hangs ends here: no test depends on how busy the machine is.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Cloudscape's modules import their style sheets, which Node itself cannot.
    server: { deps: { inline: [/@cloudscape-design\//] } },
    css: false,
  },
});
