import { beforeEach, expect, it, vi } from "vitest";
import type { Change, Filter, Target } from "../src/lib/fold";

type Batch = { cursor: string; gap: string | null; events: Change[] };

const server = {
  nodes: [] as Target[],
  cursor: "c-1",
  reads: 0,
  /** Until then an answer is on its way. */
  answering: Promise.resolve(),
  variables: {} as Record<string, unknown>,
  send: (() => undefined) as (batch: Batch) => void,
};

vi.mock("../src/lib/api", () => ({
  words: (error: Error) => error.message,
  ask: async (_: unknown, { first }: { first: number }) => {
    server.reads += 1;
    const pageInfo = { hasNextPage: server.nodes.length > first, endCursor: null };
    const targets = { nodes: server.nodes.slice(0, first), totalCount: server.nodes.length, pageInfo };
    const answer = { outdial: { eventCursor: server.cursor, targets } };
    await server.answering;
    return answer;
  },
}));
vi.mock("../src/lib/socket.svelte", () => ({
  socket: {
    follow: (_: unknown, variables: Record<string, unknown>, sink: { next: (data: unknown) => void }) => {
      server.variables = variables;
      server.send = (batch) => sink.next({ targetEvents: batch });
      return () => (server.send = () => undefined);
    },
  },
}));

let frames: (() => void)[] = [];
vi.stubGlobal("document", { hidden: false });
vi.stubGlobal("requestAnimationFrame", (callback: () => void) => frames.push(callback));

const { Targets } = await import("../src/lib/targets.svelte");

const EVERYTHING = { status: null, reason: null, callback: false, address: "", key: "" };

function target(id: string, version = 1): Target {
  const counts = { tryCount0: 0, tryCount1: 0, tryCount2: 0, tryCount3: 0, tryCount4: 0 };
  return { id, key: null, name: id, status: "IDLE", doneReason: null, priority: 0, nextTryAt: null, version, destinations: [], ...counts };
}

function claim(targetId: string, version: number): Change {
  const [occurredAt, tryCounts] = ["2026-11-25T12:00:00Z", [version - 1, 0, 0, 0, 0]];
  const nothing = { doneReason: null, nextTryAt: null, disposition: null };
  return { type: "CLAIMED", targetId, version, status: "PROGRESSING", count: 1, occurredAt, tryCounts, ...nothing };
}

function draw(): number {
  const drawn = frames;
  frames = [];
  for (const frame of drawn) frame();
  return drawn.length;
}

async function begun(filter: Filter = EVERYTHING): Promise<InstanceType<typeof Targets>> {
  const targets = new Targets("o-1", filter);
  await targets.begin();
  return targets;
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
  frames = [];
  Object.assign(server, { nodes: [target("a"), target("b")], cursor: "c-1", reads: 0, answering: Promise.resolve() });
});

it("follows from the cursor that came with the rows, and resumes at that of the last batch", async () => {
  await begun();
  expect(server.variables).toEqual({ outdialId: "o-1", after: "c-1" });
  server.send({ cursor: "c-7", gap: null, events: [] });
  expect(server.variables.after).toBe("c-7"); // what a reconnect sends
});

it("applies whatever came since the last frame at once", async () => {
  const targets = await begun();
  const before = targets.rows;
  for (let version = 2; version <= 21; version += 1) {
    server.send({ cursor: `c-${version}`, gap: null, events: Array.from({ length: 500 }, () => claim("b", version)) });
  }
  expect(targets.rows).toBe(before); // 10,000 events, and nothing is drawn yet
  expect(draw()).toBe(1);
  expect(targets.rows[1]).toMatchObject({ status: "PROGRESSING", tryCount0: 20, version: 21 });
  expect(server.reads).toBe(1);
});

it("holds a bounded number of events; beyond it, it reads afresh", async () => {
  const targets = await begun();
  server.nodes = [target("a", 90_000), target("b")];
  for (let batch = 0; batch < 60; batch += 1) {
    server.send({ cursor: `c-${batch}`, gap: null, events: Array.from({ length: 500 }, (_, at) => claim("a", 2 + batch * 500 + at)) });
  }
  draw();
  await vi.advanceTimersByTimeAsync(3_000);
  expect(server.reads).toBe(2);
  expect(targets.rows[0]!.version).toBe(90_000);
});

it("reads afresh after a gap, soon and once", async () => {
  const targets = await begun();
  server.nodes = [target("c"), ...server.nodes];
  for (let again = 0; again < 5; again += 1) server.send({ cursor: `c-${again}`, gap: "CURSOR_EXPIRED", events: [] });
  await vi.advanceTimersByTimeAsync(3_000);
  expect(targets.rows.map(({ id }) => id)).toEqual(["c", "a", "b"]);
  expect(server.reads).toBe(2);
});

it("reads the list at most every two seconds, however fast targets are added", async () => {
  await begun();
  for (let second = 0; second < 10; second += 1) {
    for (let part = 0; part < 10; part += 1) {
      server.send({ cursor: "c", gap: null, events: [{ ...claim(`new-${second}-${part}`, 1), type: "CREATED" }] });
      draw();
      await vi.advanceTimersByTimeAsync(100);
    }
  }
  expect(server.reads).toBeGreaterThan(3);
  expect(server.reads).toBeLessThanOrEqual(7);
});

function answered(targetId: string, version: number): Change {
  return { ...claim(targetId, version), type: "COMPLETED", status: "DONE", doneReason: "ANSWERED", disposition: "ANSWERED" };
}

it("shows the targets that are called and no others: one that is answered leaves at once, and the number follows", async () => {
  server.nodes = ["a", "b", "c", "d"].map((id) => ({ ...target(id), status: "PROGRESSING" as const }));
  const targets = await begun({ ...EVERYTHING, status: "PROGRESSING" });
  expect([targets.rows.length, targets.total]).toEqual([4, 4]);
  server.send({ cursor: "c-2", gap: null, events: ["a", "b", "c"].map((id) => answered(id, 2)) });
  draw();
  expect([targets.rows.map(({ id }) => id), targets.total]).toEqual([["d"], 1]);
  server.nodes = [];
  server.send({ cursor: "c-3", gap: null, events: [answered("d", 2)] });
  draw();
  expect([targets.rows.length, targets.total]).toEqual([0, 0]);
});

it("keeps out a target that is answered while the server is asked, though its answer is older", async () => {
  server.nodes = [];
  const targets = await begun({ ...EVERYTHING, status: "PROGRESSING" });
  let arrive = (): void => undefined;
  server.nodes = ["a", "b"].map((id) => ({ ...target(id, 2), status: "PROGRESSING" as const }));
  server.answering = new Promise((resolve) => (arrive = resolve));
  server.send({ cursor: "c-2", gap: null, events: [claim("a", 2), claim("b", 2)] });
  draw();
  await vi.advanceTimersByTimeAsync(2_000);
  expect(server.reads).toBe(2); // on its way
  server.send({ cursor: "c-3", gap: null, events: [answered("a", 3)] });
  draw();
  arrive();
  await vi.advanceTimersByTimeAsync(0);
  expect([targets.rows.map(({ id }) => id), targets.total]).toEqual([["b"], 1]);
});

it("shows a target that begins to match, within the bound of two seconds", async () => {
  server.nodes = [];
  const targets = await begun({ ...EVERYTHING, status: "PROGRESSING" });
  expect(targets.total).toBe(0);
  server.nodes = [{ ...target("a", 2), status: "PROGRESSING" }];
  server.send({ cursor: "c-2", gap: null, events: [claim("a", 2)] });
  draw();
  await vi.advanceTimersByTimeAsync(2_000);
  expect([targets.rows.map(({ id }) => id), targets.total]).toEqual([["a"], 1]);
});

it("never says that fewer match than are shown, however many lie beyond", async () => {
  server.nodes = Array.from({ length: 150 }, (_, at) => ({ ...target(`t-${at}`), status: "PROGRESSING" as const }));
  const targets = await begun({ ...EVERYTHING, status: "PROGRESSING" });
  expect([targets.rows.length, targets.total, targets.hasMore]).toEqual([100, 150, true]);
  server.send({ cursor: "c-2", gap: null, events: Array.from({ length: 60 }, (_, at) => answered(`t-${at}`, 2)) });
  draw();
  expect([targets.rows.length, targets.total]).toEqual([40, 90]);
  server.nodes = server.nodes.slice(60);
  await vi.advanceTimersByTimeAsync(2_000);
  expect([targets.rows.length, targets.total, targets.hasMore]).toEqual([90, 90, false]);
});

it("does nothing more once it is left", async () => {
  const targets = await begun();
  targets.refresh();
  server.send({ cursor: "c-2", gap: null, events: [claim("a", 2)] });
  targets.end();
  draw();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(server.reads).toBe(1);
  expect(targets.rows[0]!.version).toBe(1);
});
