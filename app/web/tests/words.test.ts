import { expect, it, vi } from "vitest";
import { count, counted, label, localTime, percent, relative, span, upcoming } from "../src/lib/format";
import { withoutHeaders } from "../src/graphiql/storage";

it("says things in English", () => {
  const now = Date.parse("2026-11-25T12:00:00Z");
  expect(label("DO_NOT_CALL")).toBe("Do not call");
  expect(relative("2026-11-25T23:30:00Z", now)).toBe("in 11 hr.");
  expect(relative("2026-11-25T12:05:00Z", now)).toBe("in 5 min.");
  expect(relative("2026-11-23T11:00:00Z", now)).toBe("2 days ago");
  expect([span(1_500), span(850), span(12_345_000)]).toEqual(["2 s", "850 ms", "12,345 s"]);
  expect([counted(1, "target"), counted(0, "target"), counted(1_200, "target")]).toEqual(["1 target", "0 targets", "1,200 targets"]);
  expect([count(1_234_567), percent(1, 8), percent(0, 0)]).toEqual(["1,234,567", "13%", "0%"]);
});

it("says when something begins, with the day if that is another one", () => {
  const now = new Date(2026, 10, 25, 8, 0).getTime();
  expect(upcoming(new Date(2026, 10, 25, 9, 5).getTime(), now)).toBe("09:05");
  expect(upcoming(new Date(2026, 10, 26, 9, 5).getTime(), now)).toBe("Thu 26 Nov, 09:05");
});

it("says what time it is where somebody lives, and nothing about places that it does not know", () => {
  const now = Date.parse("2026-11-25T23:30:00Z");
  expect([localTime(now, "Asia/Tokyo"), localTime(now, "America/New_York"), localTime(now, "Mars/Olympus")]).toEqual(["Thu 08:30", "Wed 18:30", ""]);
});

it.each(["de-DE", "ar-EG", "ja-JP", "hi-IN", "fa-IR", "en-US"])("whatever the browser's language, such as %s", async (locale) => {
  type Made = new (locales?: string, options?: object) => object;
  // What takes the browser's language gets this one.
  const by = (Format: Made) =>
    function (locales?: string, options?: object): object {
      return new Format(locales ?? locale, { timeZone: "UTC", ...options });
    };
  vi.stubGlobal("Intl", {
    NumberFormat: by(Intl.NumberFormat as unknown as Made),
    DateTimeFormat: by(Intl.DateTimeFormat as unknown as Made),
    RelativeTimeFormat: by(Intl.RelativeTimeFormat as unknown as Made),
  });
  vi.resetModules();
  const format = await import("../src/lib/format");
  vi.unstubAllGlobals();
  const noon = Date.parse("2026-03-05T12:00:00Z");
  expect(format.instant("2026-03-05T14:05:09Z")).toBe("5 Mar 2026, 14:05:09");
  expect([format.timeOfDay(noon), format.minutes(noon)]).toEqual(["12:00:00", "12:00"]);
  expect(format.relative("2026-03-05T23:30:00Z", noon)).toBe("in 11 hr.");
  expect([format.count(1_234.5), format.percent(1, 2), format.span(2_000)]).toEqual(["1,234.5", "50%", "2 s"]);
});

it("what GraphiQL keeps has no headers in it, at any depth", () => {
  const kept = new Map<string, string>();
  const storage = withoutHeaders({
    length: 0,
    clear: () => kept.clear(),
    getItem: (name) => kept.get(name) ?? null,
    key: () => null,
    removeItem: (name) => void kept.delete(name),
    setItem: (name, value) => void kept.set(name, value),
  });
  storage.setItem("graphiql:headers", "Bearer secret");
  storage.setItem("graphiql:query", "{ viewer { subject } }");
  storage.setItem("graphiql:queries", JSON.stringify({ queries: [{ query: "{ a }", headers: "secret" }] }));
  expect([...kept.entries()]).toEqual([
    ["graphiql:query", "{ viewer { subject } }"],
    ["graphiql:queries", '{"queries":[{"query":"{ a }"}]}'],
  ]);
});
