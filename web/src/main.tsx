import "./page.css";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { asProblem } from "./api/problem";
import { followTheme } from "./media";
import { preferred, speak } from "./words";

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 1_000,
      retry: (failures, error) => failures < 2 && asProblem(error).passing,
      networkMode: "always",
    },
    mutations: { retry: false, networkMode: "always" },
  },
});

followTheme();
const place = document.getElementById("app");
if (place) {
  await speak(preferred());
  createRoot(place).render(
    <QueryClientProvider client={queries}>
      <App />
    </QueryClientProvider>,
  );
}
