import "./page.css";
import { QueryClientProvider } from "@tanstack/react-query";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { createQueryClient } from "./api/queryClient";
import { followTheme } from "./hooks/useMedia";
import { preferredLanguage, setLanguage } from "./i18n";

const queries = createQueryClient();

followTheme();
const place = document.getElementById("app");
if (place) {
  // If German cannot be loaded, English is always available.
  await setLanguage(preferredLanguage()).catch(() => setLanguage("en"));
  createRoot(place).render(
    <QueryClientProvider client={queries}>
      <App />
    </QueryClientProvider>,
  );
}
