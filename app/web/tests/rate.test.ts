import { expect, it, vi } from "vitest";

vi.mock("../src/lib/api", () => ({}));
vi.mock("../src/lib/socket.svelte", () => ({}));
const { Rate } = await import("../src/lib/outdials.svelte");

const NOON = Date.parse("2026-11-25T12:00:00Z");

it("says nothing until it has watched for ten seconds, then 0 if there was nothing", () => {
  const rate = new Rate();
  expect(rate.perMinute(NOON)).toBeNull();
  rate.see(500, NOON);
  for (const seconds of [0, 1, 5, 9.9]) expect(rate.perMinute(NOON + seconds * 1_000)).toBeNull();
  expect(rate.perMinute(NOON + 10_000)).toBe(0);
});

it("counts what came within the last minute, and never below 0", () => {
  const rate = new Rate();
  rate.see(500, NOON);
  rate.see(510, NOON + 10_000);
  expect(rate.perMinute(NOON + 10_000)).toBe(60);
  rate.see(512, NOON + 100_000);
  rate.see(512, NOON + 160_000);
  expect(rate.perMinute(NOON + 160_000)).toBeLessThanOrEqual(2);
  rate.see(100, NOON + 170_000);
  expect(rate.perMinute(NOON + 170_000)).toBe(0);
});
