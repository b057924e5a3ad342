import { expect, test } from "vitest";
import { Many } from "../src/lib/many.svelte";

type How = { dryRun: boolean; idempotencyKey: string | null };

/** A server with so many targets that match, of which a call changes 10; `fails` loses the answer of the nth call. */
function server(matching: number, fails = -1) {
  const asked: How[] = [];
  const answered = new Map<string, { count: number; remaining: number }>();
  const ask = (how: How) => {
    asked.push(how);
    if (how.dryRun) return Promise.resolve({ count: Math.min(10, matching), remaining: Math.max(0, matching - 10) });
    const known = answered.get(how.idempotencyKey ?? "");
    const count = Math.min(10, matching);
    if (!known) matching -= count;
    const answer = known ?? { count, remaining: matching };
    answered.set(how.idempotencyKey ?? "", answer);
    return asked.length === fails ? Promise.reject(new Error("lost")) : Promise.resolve(answer);
  };
  return { ask, asked };
}

test("it counts first, then repeats until none remains, each call with a key of its own", async () => {
  const { ask, asked } = server(25);
  const many = new Many(ask);
  await many.run();
  expect(asked).toEqual([]); // nothing before it was counted
  await many.count();
  expect([many.found, many.done]).toEqual([25, 0]);
  await many.run();
  expect([many.done, many.isOver, many.problem]).toEqual([25, true, ""]);
  const keys = asked.slice(1).map(({ idempotencyKey }) => idempotencyKey);
  expect(new Set(keys).size).toBe(3);
  await many.run();
  expect(asked.length).toBe(4); // it is over
});

test("after an answer was lost it goes on with the same key, and counts each target once", async () => {
  const { ask, asked } = server(25, 3);
  const many = new Many(ask);
  await many.count();
  await many.run();
  expect([many.done, many.isOver, many.problem !== ""]).toEqual([10, false, true]);
  await many.run();
  expect([many.done, many.isOver, many.problem]).toEqual([25, true, ""]);
  expect(asked[3]?.idempotencyKey).toBe(asked[2]?.idempotencyKey);
});

test("a closed dialog stops after the call under way", async () => {
  const { ask, asked } = server(25);
  const many = new Many(ask);
  await many.count();
  const running = many.run();
  many.close();
  await running;
  expect(asked.length).toBe(2);
});

test("another wish makes the count void", async () => {
  const many = new Many(server(5).ask);
  await many.count();
  many.change();
  await many.run();
  expect([many.found, many.done]).toEqual([null, 0]);
});
