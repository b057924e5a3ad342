import { expect, it } from "vitest";
import { bars, spoken, type Window, workdays } from "../src/lib/week";

const window = (weekday: Window["weekday"], from: string, to: string): Window => ({ weekday, from, to });

it("draws each window where it is, and what lasts over midnight on both days", () => {
  expect(bars([window("TUESDAY", "09:00", "18:30")])).toEqual([{ row: 1, from: 540, to: 1_110 }]);
  expect(bars([window("SUNDAY", "22:00", "06:00")])).toEqual([
    { row: 6, from: 1_320, to: 1_440 },
    { row: 0, from: 0, to: 360 },
  ]);
  expect(bars([window("MONDAY", "12:00", "00:00")])).toEqual([{ row: 0, from: 720, to: 1_440 }]);
  expect(bars([window("MONDAY", "12:00", "12:00")])).toHaveLength(2);
  expect(bars([window("MONDAY", "", "12:00")])).toEqual([]);
});

it("says the week in words, in its order", () => {
  expect(spoken([window("SUNDAY", "10:00", "12:00"), window("MONDAY", "14:00", "18:00"), window("MONDAY", "09:00", "12:00")])).toBe(
    "Monday 09:00 to 12:00; Monday 14:00 to 18:00; Sunday 10:00 to 12:00",
  );
  expect(spoken([])).toBe("Never");
  expect(bars(workdays()).map((bar) => bar.row)).toEqual([0, 1, 2, 3, 4]);
});
