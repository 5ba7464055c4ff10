import { expect, it } from "vitest";
import { routeText } from "../src/pages/transfer/HopPanel";
import { hop } from "./samples";

it("names the connection and the congestion control of a direct hop", () => {
  expect(routeText(hop())).toBe(
    "Directly between servers (server-c connected to 10.0.0.2:4460, congestion control bbr)",
  );
});

it("says only what is known", () => {
  const { connection } = hop();
  if (!connection) throw new Error("the sample has no connection");
  const older = { ...connection, congestion_control: null };
  expect(routeText(hop({ connection: older }))).toBe(
    "Directly between servers (server-c connected to 10.0.0.2:4460)",
  );
  expect(routeText(hop({ connection: null, via: "s3", route: "s3" }))).toBe("Between server and S3");
});
