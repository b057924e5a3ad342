import { expect, test } from "vitest";
import { forWhom, inOrder, when, type Callback, type Waiting } from "../src/lib/callbacks";

const now = Date.parse("2026-11-25T12:00:00Z");
const callback = (more: Partial<Callback> = {}): Callback => ({ at: "2026-11-25T12:05:00Z", destinationIndex: null, dialer: "anna", windowSeconds: 900, note: "", openedAt: null, ...more });

test("a callback is said with its time, and for whom it is kept and how long", () => {
  expect(when(callback(), now)).toMatch(/^25 Nov 2026, .*:05:00 \(in 5 min\.\)$/);
  expect(forWhom(callback({ dialer: null }), now)).toBe("anybody");
  expect(forWhom(callback(), now)).toBe("anna alone for 15 minutes, then anybody");
  expect(forWhom(callback({ openedAt: "2026-11-25T11:50:00Z" }), now)).toMatch(/^anna alone until 25 Nov 2026, .*:05:00, then anybody$/);
  expect(forWhom(callback({ openedAt: "2026-11-25T11:45:00Z" }), now)).toBe("anybody; it was for anna");
});

test("the next callback is the first, and a target whose callback has gone meanwhile is left out", () => {
  const target = (id: string, at: string | null): Waiting => ({ id, key: null, name: id, status: "IDLE", callback: at === null ? null : callback({ at }), destinations: [] });
  const given = [target("later", "2026-11-27T00:00:00Z"), target("none", null), target("sooner", "2026-11-26T00:00:00Z")];
  expect(inOrder(given).map((one) => one.id)).toEqual(["sooner", "later"]);
});
