import { expect, test } from "vitest";
import { awaited, breaker, pace, stops, type Standing } from "../src/lib/standing";

const now = Date.parse("2026-11-25T12:00:00Z");
const GIVEN = { failurePercent: 50, windowSeconds: 60, minCalls: 20, pauseSeconds: 300 };
const standing = (more: Partial<Standing>): Standing => ({
  id: "1",
  blockedBy: [],
  nextClaimAt: null,
  progress: { progressing: 0 },
  newest: { nodes: [] },
  breaker: { state: "CLOSED", openedAt: null, pausedUntil: null, calls: 0, failures: 0 },
  dialPolicy: { pacing: null },
  ...more,
});
const with_ = (status: Partial<Standing["breaker"]>, given: typeof GIVEN | null = GIVEN): string =>
  breaker(standing({ breaker: { ...standing({}).breaker, ...status }, dialPolicy: { pacing: { maxOpenAttempts: null, claimsPerSecond: null, breaker: given } } }), now);

test("what holds an outdial is said in words, and how long it does", () => {
  const until = "2026-11-25T12:05:00Z";
  const block = (reason: Standing["blockedBy"][number]["reason"], end: string | null = null) => ({ reason, detail: "by the API", until: end });
  const blockedBy = [block("PAUSED"), block("NOT_STARTED", until), block("ENDED"), block("BREAKER_OPEN", until), block("PACED", until), block("OUTSIDE_CALLING_HOURS", until), block("CAPPED")];
  const said = stops(standing({ blockedBy }), now);
  expect(said.map((one) => one.said)).toEqual(["It is paused.", "It has not started.", "It has ended.", "Too many calls failed.", "The calling hours are closed.", "by the API"]);
  expect(said.map((one) => /^Until 25 Nov 2026, .*:05:00 \(in 5 min\.\)\.$/.test(one.until))).toEqual([false, true, false, false, true, false]);
});

test("a pace is said, and whether it holds calls back now", () => {
  const dialPolicy = { pacing: { maxOpenAttempts: 7, claimsPerSecond: null, breaker: GIVEN } };
  expect(pace(standing({ dialPolicy }))).toBe("At most 7 calls at once.");
  const blockedBy = [{ reason: "PACED" as const, detail: "", until: null }];
  expect(pace(standing({ dialPolicy, blockedBy }))).toBe("At most 7 calls at once. It is called as fast as its pace allows.");
  expect(pace(standing({ dialPolicy: { pacing: { maxOpenAttempts: null, claimsPerSecond: null, breaker: GIVEN } } }))).toBe("");
});

test("a breaker is said with its calls, since when it is open, and what comes next", () => {
  const opened = { openedAt: "2026-11-25T11:58:00Z", calls: 20, failures: 12 };
  expect(with_({}, null)).toBe("");
  expect(with_({ calls: 1_000, failures: 3 })).toBe("Closed: calls go on. 3 of 1,000 calls in 1 minute failed.");
  expect(with_({ ...opened, state: "OPEN", pausedUntil: "2026-11-25T12:03:00Z" })).toMatch(
    /^Open: calls have stopped\. Since 25 Nov 2026, .*:58:00 \(2 min\. ago\), when 12 of 20 calls had failed\. At 25 Nov 2026, .*:03:00 \(in 3 min\.\), one call shows whether they still fail\.$/,
  );
  expect(with_({ ...opened, state: "OPEN", pausedUntil: "2026-11-25T11:59:00Z" })).toMatch(/The next call shows whether they still fail\.$/);
  expect(with_({ ...opened, state: "PROBING" }, null)).toMatch(/^Open: calls have stopped, but for one that is under way\. Since .* had failed\.$/); // the policy has none any more
});

test("what is waited for is said though nothing holds the outdial: a time, or a dialer", () => {
  const due = "2026-11-25T11:40:00Z";
  const claimed = (claimedAt: string) => ({ nodes: [{ claimedAt }] });
  const said = (more: Partial<Standing>): string => awaited(standing({ nextClaimAt: due, ...more }), now);
  expect(said({ nextClaimAt: null })).toBe("");
  expect(said({})).toBe("Targets can be called, but no dialer has claimed one yet.");
  expect(said({ nextClaimAt: "2026-11-25T11:59:30Z" })).toBe("");
  expect(said({ newest: claimed("2026-11-25T11:48:00Z") })).toBe("Targets can be called, but no dialer has claimed one for 12 minutes.");
  expect(said({ newest: claimed("2026-11-25T09:00:00Z") })).toBe("Targets can be called, but no dialer has claimed one for 3 hours.");
  expect(said({ newest: claimed("2026-11-25T11:59:30Z") })).toBe("");
  expect(said({ blockedBy: [{ reason: "PAUSED", detail: "", until: null }] })).toBe("");
  expect(said({ nextClaimAt: "2026-11-25T12:30:00Z" })).toMatch(/^No target can be called before 25 Nov 2026, .*:30:00 \(in 30 min\.\)\.$/);
  expect(said({ nextClaimAt: "2026-11-25T12:30:00Z", progress: { progressing: 1 } })).toBe("");
});
