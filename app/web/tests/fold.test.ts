import { describe, expect, it } from "vitest";
import { fold, reread, type Change, type Filter, type Row } from "../src/lib/fold";

const ALL: Filter = { status: null, reason: null, address: "", key: "" };

function row(id: string, more: Partial<Row> = {}): Row {
  const counts = { tryCount0: 0, tryCount1: 0, tryCount2: 0, tryCount3: 0, tryCount4: 0 };
  const nothing = { key: null, name: id, doneReason: null, priority: 0, nextTryAt: null, destinations: [] };
  return { id, status: "IDLE", version: 1, ...nothing, ...counts, ...more };
}

function change(targetId: string | null, version: number | null, more: Partial<Change> = {}): Change {
  return {
    type: "CLAIMED",
    occurredAt: "2026-11-25T12:00:00.000000Z",
    targetId,
    count: 1,
    status: "PROGRESSING",
    doneReason: null,
    tryCounts: [1, 0, 0, 0, 0],
    nextTryAt: null,
    version,
    disposition: null,
    ...more,
  };
}

describe("events change rows", () => {
  it("in place, status and try counts and when it is next", () => {
    const { rows, stale } = fold([row("a"), row("b")], [change("b", 2, { nextTryAt: "2026-11-25T12:05:00Z" })], ALL);
    expect(rows.map(({ id }) => id)).toEqual(["a", "b"]);
    expect(rows[1]).toMatchObject({ status: "PROGRESSING", tryCount0: 1, version: 2, nextTryAt: "2026-11-25T12:05:00Z" });
    expect(stale).toBe(false);
  });

  it("by version, whatever their order, and never twice", () => {
    const changes = [
      change("a", 2),
      change("a", 3, { type: "COMPLETED", status: "DONE", doneReason: "ANSWERED" }),
      change("a", 4, { type: "RESET", status: "IDLE", tryCounts: [0, 0, 0, 0, 0] }),
    ];
    const wanted = fold([row("a")], changes, ALL).rows;
    expect(wanted[0]).toMatchObject({ status: "IDLE", doneReason: null, version: 4, tryCount0: 0 });
    for (const order of [[2, 1, 0], [1, 2, 0], [0, 2, 1, 2, 0]]) {
      expect(fold([row("a")], order.map((place) => changes[place]!), ALL).rows).toEqual(wanted);
    }
  });

  it("leaves the rows that it was given as they were", () => {
    const given = [row("a")];
    fold(given, [change("a", 2)], ALL);
    expect(given[0]!.status).toBe("IDLE");
  });

  it("takes deleted ones out, and has the next move up", () => {
    expect(fold([row("a"), row("b")], [change("a", 2, { type: "DELETED" })], ALL)).toEqual({ rows: [row("b")], stale: true });
  });

  it("has no place for targets that are not shown", () => {
    expect(fold([row("a")], [change("z", 9)], ALL)).toEqual({ rows: [row("a")], stale: false });
  });
});

describe("rows are read afresh", () => {
  it.each([
    ["a new target", change("z", 1, { type: "CREATED", status: "IDLE" }), ALL],
    ["an import, which names none", change(null, null, { type: "IMPORTED", count: 1_000 }), ALL],
    ["what an owner changed, which the event does not tell", change("a", 2, { type: "UPDATED", status: "IDLE" }), ALL],
    ["one that begins to match", change("z", 4), { ...ALL, status: "PROGRESSING" as const }],
    ["one that is done for the wanted reason", change("z", 4, { status: "DONE", doneReason: "ANSWERED" }), { ...ALL, reason: "ANSWERED" as const }],
  ])("after %s", (_, event, filter) => {
    expect(fold([row("a")], [event, event], filter).stale).toBe(true);
  });

  it("not for a target that goes on beyond the filter", () => {
    expect(fold([row("a")], [change("z", 4)], { ...ALL, status: "DONE" }).stale).toBe(false);
  });

  it("after one that matches no longer, which is shown as such until then", () => {
    const { rows, stale } = fold([row("a")], [change("a", 2)], { ...ALL, status: "IDLE" });
    expect(stale).toBe(true);
    expect(rows[0]).toMatchObject({ left: true, status: "PROGRESSING" });
  });

  it("and an event that came meanwhile is not undone by an older reading", () => {
    const newer = row("b", { version: 5, status: "DONE" });
    expect(reread([row("c"), row("b", { version: 4 }), row("a", { version: 7 })], [newer, row("a")])).toEqual([
      row("c"),
      newer,
      row("a", { version: 7 }),
    ]);
  });
});

it("folds 10,000 events into 500 rows within a few frames", () => {
  const rows = Array.from({ length: 500 }, (_, place) => row(`row-${place}`));
  const changes = Array.from({ length: 10_000 }, (_, place) => change(`row-${place % 1_000}`, 2 + Math.floor(place / 1_000)));
  fold(rows, changes, ALL); // once to warm up
  const began = performance.now();
  const folded = fold(rows, changes, ALL).rows;
  expect(performance.now() - began).toBeLessThan(200);
  expect(folded).toHaveLength(500);
  expect(folded.every(({ version }) => version === 11)).toBe(true);
});
