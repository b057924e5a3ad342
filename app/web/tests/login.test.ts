import { expect, it } from "vitest";
import { carried } from "../src/graphiql/headers";
import { tokenIn } from "../src/lib/token";
import { names, ATTEMPT, DISPOSITION, REASON, standing, STATUS, TYPE } from "../src/lib/words";
import { readFileSync } from "node:fs";
import { buildSchema, type GraphQLEnumType } from "graphql";

it.each([
  ["a.b.c"],
  ["  a.b.c\n"],
  ["a.\nb.\r\n c"],
  ["Bearer a.b.c"],
  ["bearer\ta.b.c"],
  ["Authorization: Bearer a.b.c"],
  ["http://localhost:8000/#token=a.b.c"],
  ["https://calls.example.com/calls/?outdial=1#token=a.b.c "],
  ["Log in here: http://localhost:8000/#token=a.b.c\nBye"],
])("finds the token in %j", (text) => {
  expect(tokenIn(text)).toBe("a.b.c");
});

it.each(["", "  \n", "Bearer ", "http://x/#token="])("finds none in %j", (text) => {
  expect(["", "Bearer"]).toContain(tokenIn(text));
});

it("a percent sign that begins no escape is no reason to fail", () => {
  expect(tokenIn("http://x/#token=%zz")).toBe("%zz");
});

it("a request of GraphiQL carries the session, unless its headers have a token", () => {
  const session = { "Outdial-Session": "s" };
  expect(carried(session)).toEqual(session);
  expect(carried(session, { "X-Other": 1 })).toEqual({ ...session, "X-Other": "1" });
  for (const empty of ["", "Bearer", "Bearer ", "bearer  "]) expect(carried(session, { authorization: empty })).toEqual(session);
  expect(carried(session, { Authorization: "Bearer t" })).toEqual({ Authorization: "Bearer t" });
  expect(carried({}, { Authorization: "Bearer " })).toEqual({});
});

it("the page has a word for every name of the API", () => {
  const schema = buildSchema(readFileSync("../../schema.graphql", "utf8"));
  const values = (type: string): string[] => (schema.getType(type) as GraphQLEnumType).getValues().map(({ name }) => name).sort();
  const words = { TargetStatus: STATUS, DoneReason: REASON, Disposition: DISPOSITION, AttemptState: ATTEMPT, DestinationType: TYPE };
  for (const [type, by] of Object.entries(words)) expect(names(by as Record<string, string>).sort()).toEqual(values(type));
  expect(standing({ status: "IDLE" })).toBe("Waiting");
  expect(standing({ status: "PROGRESSING", doneReason: null })).toBe("Calling");
  expect(standing({ status: "DONE", doneReason: "EXHAUSTED" })).toBe("Exhausted");
});
