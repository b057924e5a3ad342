import { readFileSync } from "node:fs";
import { buildSchema, parse, validate } from "graphql";
import { expect, it } from "vitest";
import { EXAMPLES } from "../src/graphiql/examples";

it("GraphiQL's examples are what the server understands", () => {
  const schema = buildSchema(readFileSync("../../schema.graphql", "utf8"));
  const document = parse(EXAMPLES);
  expect(validate(schema, document)).toEqual([]);
  expect(document.definitions.length).toBeGreaterThan(8);
});
