import { expect, test } from "vitest";
import { blank, hiddenBy, ordinal, parts, spoken, whole, type Rule } from "../src/lib/rules";

const rule = (more: Partial<Rule>): Rule => ({ states: [], dispositions: [], codes: [], destinations: [], fromNth: 1, action: "RETRY", waitSeconds: null, jitterPercent: 0, ...more });
const said = (more: Partial<Rule>): string => spoken(parts(rule(more)));

test("a rule is said in a sentence", () => {
  expect(said({ dispositions: ["BUSY"], waitSeconds: 120 })).toBe("Busy: again in 2 minutes.");
  expect(said({ dispositions: ["BUSY"], fromNth: 3, waitSeconds: 3_600 })).toBe("Busy, from the third time on: again in 1 hour.");
  expect(said({ dispositions: ["MACHINE"], destinations: [0], action: "NEXT_DESTINATION" })).toBe("Answering machine at destination 1: the next destination at once.");
  expect(said({ dispositions: ["FAILED"], codes: ["CARRIER"], fromNth: 2, action: "FINISH" })).toBe("Failed with code CARRIER, from the second time on: finish.");
  expect(said({ states: ["EXPIRED"] })).toBe("Lease expired: again after the usual wait.");
  expect(said({ states: ["UNCONFIRMED", "EXPIRED"], waitSeconds: 90, jitterPercent: 50 })).toBe("No result: again in 90 seconds, up to 50% later by chance.");
  expect(said({ dispositions: ["BUSY", "NO_ANSWER", "TIMEOUT"], destinations: [2, 0], waitSeconds: 0 })).toBe("Busy, no answer or timeout at destination 1 or 3: again at once.");
  expect(said({ action: "NEXT_DESTINATION", waitSeconds: 60 })).toBe("Whatever the result: the next destination in 1 minute.");
  expect(said({ states: ["COMPLETED", "EXPIRED"] })).toBe("Completed or lease expired: again after the usual wait.");
  expect(said({ states: ["EXPIRED"], dispositions: ["BUSY"], jitterPercent: 10 })).toBe("Busy and lease expired: again after the usual wait, up to 10% later by chance.");
});

test("numbers that are being typed are left open", () => {
  expect(spoken({ ...blank(), amount: null, fromNth: null })).toBe("Busy, from the … time on: again in … minutes.");
});

test("a rule that is only looked at stays what it is", () => {
  for (const waitSeconds of [null, 0, 59, 60, 3_600, 86_400, 90_000, 2_592_000]) {
    for (const action of ["RETRY", "NEXT_DESTINATION"] as const) {
      const given = rule({ states: ["COMPLETED"], dispositions: ["BUSY", "FAILED"], codes: ["A"], destinations: [4, 1], fromNth: 7, action, waitSeconds, jitterPercent: 20 });
      expect(whole(parts(given))).toEqual(given);
    }
  }
});

test("a rule that finishes has no wait", () => {
  expect(whole({ ...blank(), action: "FINISH", jitterPercent: 20 })).toMatchObject({ waitSeconds: null, jitterPercent: 0 });
});

test("a rule behind one that always decides is found", () => {
  const rules = [
    rule({ dispositions: ["BUSY"], fromNth: 3 }),
    rule({ dispositions: ["BUSY", "FAILED"] }),
    rule({ dispositions: ["BUSY"], destinations: [1] }),
    rule({ dispositions: ["MACHINE"] }),
    rule({}),
    rule({ dispositions: ["MACHINE"], fromNth: 2 }),
    rule({ states: ["EXPIRED"] }),
  ].map(parts);
  expect(rules.map((_, place) => hiddenBy(rules, place))).toEqual([null, null, 1, null, null, 3, 4]);
});

test("places in order are said as people say them", () => {
  expect([1, 3, 10, 11, 21, 22, 43, 112, 500].map(ordinal)).toEqual(["first", "third", "tenth", "11th", "21st", "22nd", "43rd", "112th", "500th"]);
});
