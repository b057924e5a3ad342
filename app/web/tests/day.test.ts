import { expect, test } from "vitest";
import { elapsed, hourAgo, ofAllHours, today } from "../src/lib/day";

test("a day goes from midnight to midnight by the reader's clock", () => {
  const { from, to, timeZone } = today(new Date(2026, 10, 25, 15, 30).getTime(), 28);
  expect(new Date(from)).toEqual(new Date(2026, 9, 28));
  expect(new Date(to)).toEqual(new Date(2026, 10, 26));
  expect(timeZone).toBe(Intl.DateTimeFormat().resolvedOptions().timeZone);
});

test("hours without attempts are in the picture too", () => {
  const hours = ofAllHours([{ hour: 9, figures: { attempts: 4, answered: 1 } }]);
  expect(hours).toHaveLength(24);
  expect(hours[9]).toEqual({ label: "09:00", attempts: 4, answered: 1 });
  expect(hours[0]).toEqual({ label: "00:00", attempts: 0, answered: 0 });
});

test("a time that goes on is said in minutes and seconds, and never less than nothing", () => {
  const now = Date.parse("2026-11-25T12:00:00Z");
  expect(elapsed("2026-11-25T11:59:53Z", now)).toBe("0:07");
  expect(elapsed("2026-11-25T10:47:30Z", now)).toBe("72:30");
  expect(elapsed("2026-11-25T12:00:05Z", now)).toBe("0:00");
});

test("the same hour of another day is by the reader's clock", () => {
  const now = new Date(2026, 10, 25, 15, 30).getTime();
  expect(hourAgo(now)).toEqual({ from: new Date(2026, 10, 25, 15).toISOString(), to: new Date(2026, 10, 25, 16).toISOString() });
  const before = { from: new Date(2026, 10, 24, 15).toISOString(), to: new Date(2026, 10, 24, 15, 31).toISOString() };
  expect(hourAgo(now, 1)).toEqual(before); // a whole hour beside one that has just begun would look like a bad day
});
