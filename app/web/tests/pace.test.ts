import { expect, test } from "vitest";
import { parts, spoken, whole, type Pacing } from "../src/lib/pace";

const breaker = { failurePercent: 50, windowSeconds: 60, minCalls: 20, pauseSeconds: 300 };
const bounds: Pacing[] = [
  { maxOpenAttempts: 7, claimsPerSecond: null, breaker: null },
  { maxOpenAttempts: null, claimsPerSecond: 0.2, breaker: null },
  { maxOpenAttempts: 1, claimsPerSecond: 50, breaker },
  { maxOpenAttempts: null, claimsPerSecond: null, breaker: { ...breaker, windowSeconds: 3_599, pauseSeconds: 86_400 } },
];

test("a pace is said in words", () => {
  expect(bounds.map((pacing) => spoken(parts(pacing)))).toEqual([
    "At most 7 calls at once.",
    "At most 1 new call in 5 seconds.",
    "At most 1 call at once. At most 50 new calls a second. Stops for 5 minutes if 50% of at least 20 calls fail within 1 minute.",
    "Stops for 24 hours if 50% of at least 20 calls fail within 3599 seconds.",
  ]);
  expect(spoken(parts(null))).toBe("As fast as dialers ask.");
  expect(spoken(parts({ claimsPerSecond: 1.5, maxOpenAttempts: null, breaker: null }))).toBe("At most 1 new call a second.");
});

test("a pace that is only looked at stays what it is, and one without bounds is none", () => {
  expect(bounds.map((pacing) => whole(parts(pacing)))).toEqual(bounds);
  expect(whole(parts(null))).toBeNull();
});
