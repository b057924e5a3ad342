import { expect, it } from "vitest";
import { sheet } from "../src/lib/csv";
import { label, relative, span } from "../src/lib/format";
import { withoutHeaders } from "../src/graphiql/storage";

it("a sheet of rejected rows runs no formula and keeps rows whole", () => {
  const text = sheet([
    { lineNumber: 3, column: "phone", code: "INVALID", message: 'Say "no", please', row: "=1+1;x" },
    { lineNumber: 1_000, column: null, code: "MALFORMED", message: "-", row: "a\nb" },
  ]);
  expect(text).toBe(
    'line_number,column,code,message,row\r\n3,phone,INVALID,"Say ""no"", please",\'=1+1;x\r\n1000,,MALFORMED,\'-,"a\nb"\r\n',
  );
});

it("says things as people do", () => {
  const now = Date.parse("2026-11-25T12:00:00Z");
  expect(label("DO_NOT_CALL")).toBe("Do not call");
  expect(relative("2026-11-25T12:05:00Z", now)).toMatch(/5/);
  expect(relative("2026-11-23T11:00:00Z", now)).toMatch(/2/);
  expect(span(1_500)).toMatch(/[12]/);
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
