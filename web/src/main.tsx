import "./page.css";
import { QueryClientProvider } from "@tanstack/react-query";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { createQueries } from "./api/again";
import { followTheme } from "./hooks/useMedia";
import { preferred, speak } from "./i18n";

const queries = createQueries();

followTheme();
const place = document.getElementById("app");
if (place) {
  // English needs no script of its own.
  await speak(preferred()).catch(() => speak("en"));
  createRoot(place).render(
    <QueryClientProvider client={queries}>
      <App />
    </QueryClientProvider>,
  );
}
