import { expect, test } from "vitest";
import { permitted, type Permit } from "../src/lib/permit";

const permit: Permit = {
  localTime: "2026-11-30T09:12:44+01:00",
  timeZone: "Europe/Berlin",
  timeZoneSource: "PHONE_NUMBER",
  window: { date: "2026-11-30", from: "09:00", to: "18:00", exception: null },
  caps: [{ tries: 3, windowSeconds: 86_400, per: "ADDRESS", over: "CUSTOMER", used: 1 }],
};

test("a permit is one line", () => {
  expect(permitted(permit)).toBe("Allowed at 09:12 in Berlin (by the number), within Monday 09:00 to 18:00, as call 2 of 3 in 24 hours");
});

test("a holiday has its name, and a place the last part of its zone", () => {
  const window = { date: "2026-12-24", from: "09:00", to: "12:00", exception: "Christmas Eve" };
  expect(permitted({ ...permit, timeZone: "America/Argentina/Buenos_Aires", timeZoneSource: "GIVEN", window, caps: [] })).toBe(
    "Allowed at 09:12 in Buenos Aires (as given), within Christmas Eve 09:00 to 12:00",
  );
});

test("what decided nothing is not said", () => {
  const none: Permit = { localTime: null, timeZone: null, timeZoneSource: "UNKNOWN", window: null, caps: [] };
  expect(permitted(none)).toBe("");
  expect(permitted({ ...none, caps: [{ tries: 1, windowSeconds: 60, per: "TARGET", over: "OUTDIAL", used: 0 }] })).toBe("Allowed as call 1 of 1 in 1 minute");
});

test("each day of the week has its name", () => {
  const days = ["30", "29", "28", "27", "26", "25", "24"].map((day) => permitted({ ...permit, window: { date: `2026-11-${day}`, from: "09:00", to: "18:00" } }));
  const names = ["Monday", "Sunday", "Saturday", "Friday", "Thursday", "Wednesday", "Tuesday"];
  days.forEach((line, index) => { expect(line).toContain(`within ${names[index] ?? ""} 09:00`); });
});
