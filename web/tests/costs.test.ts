import { expect, it } from "vitest";
import { costsCsv, lastTwoMonths } from "../src/pages/overview/costs";

it("exports a month's costs as the command line does, and no formula", () => {
  const sum = {
    id: "9a61c0de",
    name: "=HYPERLINK(1)",
    transfers: 2,
    bytes_arrived: 5,
    dollars: 1.5,
    requests: 0.5,
    egress: 1,
    relay: 0,
    storage_a_month: 0,
  };
  const others = { ...sum, id: "", name: "3 others" };
  expect(costsCsv({ month: "2026-11", by: "person", sums: [sum], others }).split("\r\n")).toEqual([
    "month,by,id,name,transfers,bytes_arrived,dollars,requests,egress,relay,storage_a_month",
    "2026-11,person,9a61c0de,'=HYPERLINK(1),2,5,1.5,0.5,1,0,0",
    "2026-11,person,,3 others,2,5,1.5,0.5,1,0,0",
    "",
  ]);
});

it.each([
  ["2026-11-30T23:59:59Z", ["2026-11", "2026-10"]],
  ["2027-01-31T00:00:00Z", ["2027-01", "2026-12"]],
  ["2027-03-31T12:00:00Z", ["2027-03", "2027-02"]],
])("offers the month of %s and the one before", (now, months) => {
  expect(lastTwoMonths(new Date(now))).toEqual(months);
});
