import { expect, test, vi } from "vitest";

vi.mock("../src/lib/api", () => ({ ask: vi.fn(), accepted: vi.fn(), words: (error: Error) => error.message }));
const { each } = await import("../src/lib/several");

test("each is done once, at most four at a time, and those that fail are named in their order", async () => {
  let open = 0;
  let most = 0;
  const done: string[] = [];
  const ids = Array.from({ length: 11 }, (_, index) => String(index));
  const failures = await each(ids, async (id) => {
    most = Math.max(most, (open += 1));
    await new Promise((resolve) => setTimeout(resolve, 5 - (Number(id) % 3)));
    open -= 1;
    done.push(id);
    if (id === "7" || id === "2") throw new Error(`not ${id}`);
  });
  expect(most).toBe(4);
  expect(new Set(done)).toEqual(new Set(ids));
  expect(done).toHaveLength(ids.length);
  expect(failures).toEqual([{ id: "2", message: "not 2" }, { id: "7", message: "not 7" }]);
});
