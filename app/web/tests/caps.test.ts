import { expect, test } from "vitest";
import { parts, spoken, whole, type Cap } from "../src/lib/caps";

const cap = (tries: number, windowSeconds: number, more: Partial<Cap> = {}): Cap => ({ tries, windowSeconds, per: "ADDRESS", over: "CUSTOMER", ...more });

test("a cap is said in words, in the largest unit that fits", () => {
  expect(spoken(parts(cap(3, 86_400)))).toBe("At most 3 calls to one number or address in 24 hours, on all lists together.");
  expect(spoken(parts(cap(1, 604_800, { per: "TARGET", over: "OUTDIAL" })))).toBe("At most 1 call to one target in 7 days, on this list.");
  expect(spoken(parts(cap(2, 60)))).toBe("At most 2 calls to one number or address in 1 minute, on all lists together.");
  expect(spoken(parts(cap(2, 90)))).toBe("At most 2 calls to one number or address in 90 seconds, on all lists together.");
});

test("a cap that is only looked at stays what it is", () => {
  for (const seconds of [1, 59, 60, 3_600, 3_601, 86_400, 90_000, 172_800, 2_592_000]) {
    expect(whole(parts(cap(3, seconds)))).toEqual(cap(3, seconds));
  }
});
