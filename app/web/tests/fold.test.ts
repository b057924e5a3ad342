import { describe, expect, it } from "vitest";
import { fold, reread, type Change, type Filter, type Row } from "../src/lib/fold";

const ALL: Filter = { status: null, reason: null, callback: false, address: "", key: "" };

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

  it("are read again if only callbacks are shown: no event says whether one is left", () => {
    const callbacks = { ...ALL, callback: true };
    expect(fold([row("a")], [change("a", 2)], callbacks).stale).toBe(true);
    expect(fold([row("a")], [change("z", 2, { type: "CALLBACK", status: "IDLE" })], callbacks).stale).toBe(true);
    expect(fold([row("a")], [change("z", 3, { type: "COMPLETED", status: "IDLE" })], callbacks).stale).toBe(true);
    expect(fold([row("a")], [change("z", 2)], callbacks).stale).toBe(false);
  });

  it("has no place for targets that are not shown", () => {
    expect(fold([row("a")], [change("z", 9)], ALL)).toEqual({ rows: [row("a")], stale: false });
  });
});

describe("a row stays as long as it matches the filter", () => {
  const STATES: Pick<Row, "status" | "doneReason">[] = [
    { status: "IDLE", doneReason: null },
    { status: "PROGRESSING", doneReason: null },
    { status: "DONE", doneReason: "ANSWERED" },
    { status: "DONE", doneReason: "EXHAUSTED" },
  ];
  const FILTERS: Filter[] = [
    ALL,
    { ...ALL, status: "IDLE" },
    { ...ALL, status: "PROGRESSING" },
    { ...ALL, status: "DONE" },
    { ...ALL, reason: "ANSWERED" },
    { ...ALL, status: "DONE", reason: "EXHAUSTED" },
    { ...ALL, address: "+1", key: "k" },
  ];
  const fits = (filter: Filter, { status, doneReason }: (typeof STATES)[number]): boolean =>
    (!filter.status || filter.status === status) && (!filter.reason || filter.reason === doneReason);

  it.each(FILTERS)("%o", (filter) => {
    for (const before of STATES.filter((state) => fits(filter, state))) {
      for (const after of STATES) {
        const { rows, stale } = fold([row("a", before), row("b", before)], [change("a", 2, after)], filter);
        expect(rows.map(({ id }) => id)).toEqual(fits(filter, after) ? ["a", "b"] : ["b"]);
        expect(stale).toBe(!fits(filter, after)); // another one moves up
      }
    }
  });

  it("though it did not in between", () => {
    const changes = [change("a", 2), change("a", 3, { type: "RELEASED", status: "IDLE" })];
    for (const order of [changes, [...changes].reverse()]) {
      expect(fold([row("a")], order, { ...ALL, status: "IDLE" }).rows.map(({ version }) => version)).toEqual([3]);
    }
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
    expect(fold([row("a", { status: "DONE" })], [change("z", 4)], { ...ALL, status: "DONE" }).stale).toBe(false);
  });

  it("not for what an owner changed of one that is not shown, unless the filter is by that", () => {
    const update = change("z", 4, { type: "UPDATED", status: "IDLE" });
    expect(fold([row("a")], [update], ALL).stale).toBe(false);
    expect(fold([row("a")], [update], { ...ALL, key: "k" }).stale).toBe(true);
    expect(fold([row("a")], [update], { ...ALL, address: "+1" }).stale).toBe(true);
  });

  it("after one beyond the rows that matches no longer, where there are such", () => {
    const calling: Filter = { ...ALL, status: "PROGRESSING" };
    const end = change("z", 4, { type: "COMPLETED", status: "DONE", doneReason: "ANSWERED" });
    const shown = [row("a", { status: "PROGRESSING" })];
    expect(fold(shown, [end], calling).stale).toBe(false);
    expect(fold(shown, [end], calling, true).stale).toBe(true);
    expect(fold([row("a")], [change("z", 4, { type: "DELETED" })], ALL, true).stale).toBe(true);
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
