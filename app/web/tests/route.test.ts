import { beforeAll, expect, it, vi } from "vitest";

vi.stubGlobal("location", { search: "" });
vi.stubGlobal("addEventListener", () => undefined);

let route: typeof import("../src/lib/route.svelte");

beforeAll(async () => {
  route = await import("../src/lib/route.svelte");
});

it("an address says all of where one is, and is read back to the same", () => {
  const place = { page: null, outdial: "1-2", target: "3-4", name: "", state: "PAUSED", campaign: "c-1", status: "DONE", reason: "DO_NOT_CALL", callback: true, address: "+1 (212)", key: "a&b" } as const;
  const address = route.written(place);
  expect(address).toBe("/?outdial=1-2&state=paused&campaign=c-1&status=done&reason=do_not_call&callback=yes&address=%2B1+%28212%29&key=a%26b&target=3-4");
  expect(route.read(address.slice(1))).toEqual(place);
});

it("what is empty or unknown is nothing", () => {
  expect(route.written({ outdial: null, name: "" })).toBe("/");
  expect(route.read("?status=gone&reason=<script>")).toMatchObject({ outdial: null, status: null, reason: null, address: "" });
});
