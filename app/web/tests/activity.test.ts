import { expect, it } from "vitest";
import { Activity, Lag, seriesOf, STEPS, STEP_SECONDS } from "../src/lib/activity";
import type { Change } from "../src/lib/fold";

const NOON = Date.parse("2026-11-25T12:00:00Z");
const ended = (type: Change["type"], disposition: Change["disposition"] = null, occurredAt = "") => ({ type, disposition, occurredAt });
const at = (seconds: number): string => new Date(NOON + seconds * 1_000).toISOString();

it("tells claims, answers and other ends apart", () => {
  expect(seriesOf(ended("CLAIMED"))).toBe("claims");
  expect(seriesOf(ended("COMPLETED", "ANSWERED"))).toBe("answers");
  expect(seriesOf(ended("COMPLETED", "BUSY"))).toBe("others");
  expect(seriesOf(ended("EXPIRED"))).toBe("others");
  expect(seriesOf(ended("DIALING"))).toBeNull();
});

it("counts by when it happened, in the last minutes alone", () => {
  const activity = new Activity();
  activity.add(ended("CLAIMED", null, at(0)));
  activity.add(ended("CLAIMED", null, at(4)));
  activity.add(ended("COMPLETED", "ANSWERED", at(5)));
  const [moments, claims, answers, others] = activity.table(NOON + 7_000);
  expect(moments).toHaveLength(STEPS);
  expect(moments.at(-1)).toBe(NOON / 1_000 + 5);
  expect(claims.slice(-2)).toEqual([2, 0]);
  expect(answers.slice(-2)).toEqual([0, 1]);
  expect(others.every((count) => count === 0)).toBe(true);
  expect(activity.lastMinute(NOON + 7_000)).toEqual({ claims: 2, answers: 1, others: 0 });
  expect(activity.lastMinute(NOON + 120_000)).toEqual({ claims: 0, answers: 0, others: 0 });
});

it("holds no more steps than it shows, however long it runs", () => {
  const activity = new Activity();
  for (let step = 0; step < 10 * STEPS; step += 1) activity.add(ended("CLAIMED", null, at(step * STEP_SECONDS)));
  const [, claims] = activity.table(NOON + (10 * STEPS - 1) * STEP_SECONDS * 1_000);
  expect(claims).toEqual(Array(STEPS).fill(1));
});

it("knows how late events come by a clock that is wrong", () => {
  const lag = new Lag();
  const wrong = 3_600_000;
  lag.see(at(0), NOON + wrong + 40);
  expect(lag.milliseconds).toBe(0);
  lag.see(at(1), NOON + wrong + 1_000 + 940);
  expect(lag.milliseconds).toBe(900);
  lag.see(at(2), NOON + wrong + 2_000 + 50);
  expect(lag.milliseconds).toBe(10);
});
