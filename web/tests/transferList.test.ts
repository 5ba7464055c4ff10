/** The list of transfers: what its address means, what an action on many does, and what a row tells. */
import { describe, expect, it } from "vitest";
import { amountOnce } from "../src/format/sizes";
import { dividedFor, steerAll } from "../src/model/bulkActions";
import { filterAddress, filterQuery, isFiltered, readFilters } from "../src/model/transferFilters";
import { readPreferences } from "../src/pages/transfers/preferences";
import { hrefWith, parseRoute } from "../src/router";
import type { TransferState } from "../src/types";
import { progress, transfer } from "./samples";

const NOW = Date.parse("2026-11-24T10:00:30.500Z");

describe("the address of the list", () => {
  it("keeps every criterion", () => {
    const text =
      "search=ep1+raw&status=failed&agent=server-b&template=nightly&by=ana%40example.org&days=7&sort=oldest&dry_run=false";
    const filters = readFilters(new URLSearchParams(text));
    const again = parseRoute(hrefWith("transfers", filterAddress(filters))).query;
    expect(readFilters(again)).toEqual(filters);
    expect(filters).toMatchObject({
      search: "ep1 raw",
      by: "ana@example.org",
      dryRun: false,
      sort: "oldest",
    });
  });

  it("may be anything that a person has typed", () => {
    const typed = "search=%20&status=broken&days=3&from=2026-02-31x&to=yesterday&sort=size&dry_run=perhaps";
    const filters = readFilters(new URLSearchParams(typed));
    expect(Object.values(filters).every((one) => one === null)).toBe(true);
    expect(isFiltered(filters)).toBe(false);
  });

  it("asks the API for whole days of the viewer, the last one included", () => {
    const { since, until } = filterQuery({ from: "2026-11-24", to: "2026-11-24" }, NOW);
    expect(Date.parse(String(until)) - Date.parse(String(since))).toBe(86_400_000);
    expect(new Date(String(since)).getHours()).toBe(0);
  });

  it("asks the same question for a whole minute", () => {
    const asked = filterQuery({ days: "7" }, NOW);
    expect(asked).toEqual(filterQuery({ days: "7" }, NOW + 20_000));
    expect(asked.since).toBe("2026-11-17T10:00:00.000Z");
    expect(filterQuery({}, NOW).since).toBeNull();
  });
});

describe("an action on many transfers", () => {
  const inState = (state: TransferState) => ({ ...transfer(), transfer_id: state, state });
  const selected = [inState("failed"), inState("running"), inState("succeeded"), inState("cancelled")];
  const ids = (found: { transfer_id: string }[]) => found.map(({ transfer_id }) => transfer_id);

  it("tells which of them it changes, and which it leaves as they are", () => {
    const { affected, others } = dividedFor("retry", selected, "operator");
    expect(ids(affected)).toEqual(["failed", "cancelled"]);
    expect(ids(others)).toEqual(["running", "succeeded"]);
    expect(ids(dividedFor("pause", selected, "operator").affected)).toEqual(["running"]);
    expect(dividedFor("retry", selected, "viewer").affected).toEqual([]);
  });

  it("goes on when one is refused, and tells which", async () => {
    const refusal = new Error("policy");
    const outcomes = await steerAll(selected, async ({ transfer_id }) => {
      if (transfer_id === "running") throw refusal;
    });
    expect(outcomes.map(({ error }) => error)).toEqual([undefined, refusal, undefined, undefined]);
  });

  it("never has more than four requests under way", async () => {
    let now = 0;
    let most = 0;
    await steerAll(
      Array.from({ length: 20 }, () => transfer()),
      async () => {
        now += 1;
        most = Math.max(most, now);
        await Promise.resolve();
        now -= 1;
      },
    );
    expect(most).toBe(4);
  });
});

describe("the amount in a row", () => {
  const GIB = 1024 ** 3;

  it("counts the size once, however many hops carry it", () => {
    const half = progress({ bytes_done: GIB / 2, bytes_total: GIB });
    expect(amountOnce(2, GIB, half)).toBe("50 % of 1.0 GiB");
    const whole = progress({ bytes_done: GIB, bytes_total: GIB });
    expect(amountOnce(2, GIB, whole)).toBe("1.0 GiB");
  });

  it("is in bytes for one hop, and unknown before the source is listed", () => {
    const some = progress({ bytes_done: GIB / 2, bytes_total: GIB });
    expect(amountOnce(1, GIB, some)).toBe("512 MiB of 1.0 GiB");
    const early = progress({ bytes_done: 1024, bytes_total: null });
    expect(amountOnce(1, null, early)).toBe("1.0 KiB so far");
    expect(amountOnce(2, null, early)).toBe("1.0 KiB so far");
  });
});

describe("the stored view", () => {
  it("is the usual one where nothing valid is stored", () => {
    const usual = readPreferences(null);
    for (const text of ["", "7", "null", "{", '{"columns": [], "pageSize": 7}', '{"columns": "by"}']) {
      expect(readPreferences(text)).toEqual(usual);
    }
    const stored = readPreferences('{"columns": ["speed", "source", "nonsense"], "pageSize": 200}');
    expect(stored).toEqual({ ...usual, columns: ["source", "speed"], pageSize: 200 });
  });
});
