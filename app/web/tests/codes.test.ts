import { expect, it } from "vitest";
import { blank, code, isChanged, line, raised, sent, type ResultCode } from "../src/lib/codes";

const SALE: ResultCode = { code: "SALE", label: "Sold", disposition: "ANSWERED", isRightParty: true, isConversion: true, isRetired: false };
const OLD: ResultCode = { ...SALE, code: "OLD", isRetired: true };

it("a retired code is left out of the list unless something else of it has changed", () => {
  const [sale, old] = [line(SALE), line(OLD)];
  expect(sent([sale, old])).toEqual([sale]);
  expect(sent([{ ...sale, isRetired: true }, old])).toEqual([]);
  const renamed = { ...old, label: "Sold, formerly" };
  expect(sent([sale, renamed])).toEqual([sale, renamed]);
  const back = { ...old, isRetired: false };
  expect(sent([sale, back])).toEqual([sale, back]);
  const made = { ...blank(), code: "NEW", label: "New", isRetired: true };
  expect(sent([made])).toEqual([made]);
});

it("there is something to save if a line, its place or its number has changed", () => {
  const lines = [line(SALE), line(OLD)];
  expect(isChanged(lines, [SALE, OLD])).toBe(false);
  expect(isChanged([...lines, blank()], [SALE, OLD])).toBe(true);
  expect(isChanged([...lines].reverse(), [SALE, OLD])).toBe(true);
  expect(isChanged([{ ...line(SALE), label: "Sold it" }, line(OLD)], [SALE, OLD])).toBe(true);
  expect(isChanged([{ ...line(SALE), label: "Sold " }, line(OLD)], [SALE, OLD])).toBe(false);
});

it("what is sent has neither spaces around it nor what only the page knows", () => {
  expect(code({ ...line(SALE), code: " SALE ", label: "Sold\t" })).toEqual(SALE);
});

it("a line moves up by one place, and the first one stays", () => {
  const lines = [line(SALE), line(OLD), line({ ...SALE, code: "THIRD" })];
  expect(raised(lines, 2).map((one) => one.code)).toEqual(["SALE", "THIRD", "OLD"]);
  expect(raised(lines, 0)).toEqual(lines);
});
