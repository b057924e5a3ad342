import { beforeAll, expect, it, vi } from "vitest";

vi.stubGlobal("location", { search: "", href: "http://here/" });
vi.stubGlobal("addEventListener", () => undefined);

let list: typeof import("../src/lib/suppressions.svelte");

beforeAll(async () => {
  list = await import("../src/lib/suppressions.svelte");
});

it("each line of a text is an address, and empty lines are none", () => {
  expect(list.addresses(" +1 212 555 0142 \r\n\n\tann@example.com\n")).toEqual(["+1 212 555 0142", "ann@example.com"]);
  expect(list.addresses(" \n")).toEqual([]);
});
