import { expect, test } from "vitest";
import { Once } from "../src/lib/once";

test("the same input keeps its key, another one gets another", () => {
  const once = new Once();
  const first = once.keyOf({ name: "Ana", places: [1, 2] });
  expect(once.keyOf({ name: "Ana", places: [1, 2] })).toBe(first);
  const second = once.keyOf({ name: "Ana", places: [2, 1] });
  expect(second).not.toBe(first);
  expect(once.keyOf({ name: "Ana", places: [1, 2] })).not.toBe(first); // what was changed back is another wish
});

test("no two forms have a key in common", () => {
  const input = { name: "Ana" };
  expect(new Once().keyOf(input)).not.toBe(new Once().keyOf(input));
});
