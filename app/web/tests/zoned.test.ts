import { expect, test } from "vitest";
import { clockOf, instantOf, localOf } from "../src/lib/zoned";

const BERLIN = "Europe/Berlin";

test("an instant is shown by the clock of the place, and read by it", () => {
  expect(localOf("2026-12-24T08:30:00Z", BERLIN)).toBe("2026-12-24T09:30");
  expect(instantOf("2026-12-24T09:30", BERLIN)).toBe("2026-12-24T08:30:00.000Z");
  expect([localOf(null, BERLIN), instantOf("", BERLIN)]).toEqual(["", null]);
  for (const zone of ["Pacific/Kiritimati", "Pacific/Niue", "Asia/Kathmandu", "America/St_Johns", "UTC"]) {
    for (const instant of ["2026-01-01T00:00:00.000Z", "2026-06-30T23:59:00.000Z"]) expect(instantOf(localOf(instant, zone), zone)).toBe(instant);
  }
});

test("a time that comes twice is the first one, and one that is skipped is as much later as the clocks go", () => {
  expect(instantOf("2026-10-25T02:30", BERLIN)).toBe("2026-10-25T00:30:00.000Z");
  expect(instantOf("2026-03-29T02:30", BERLIN)).toBe("2026-03-29T01:30:00.000Z");
  expect(localOf("2026-03-29T01:30:00Z", BERLIN)).toBe("2026-03-29T03:30");
});

test("the clock is the outdial's if it has one that is known, and else this browser's", () => {
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
  expect(clockOf(BERLIN)).toEqual({ timeZone: BERLIN, whose: "the outdial's time zone" });
  for (const zone of [null, "", "Mars/Olympus"]) expect(clockOf(zone)).toEqual({ timeZone: here, whose: "this browser's time zone" });
});
