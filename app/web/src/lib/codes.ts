// The owner's own results of calls, as a supervisor edits them. Pure.
import type { ResultCodeFieldsFragment } from "../generated/graphql";

export type ResultCode = ResultCodeFieldsFragment;

/** A line of the table: a code as it is edited. */
export interface Line extends ResultCode {
  /** A number of its own while the page lasts. */
  key: number;
  /** As it is stored; null if it is new. */
  stored: ResultCode | null;
}

/** As many as one call takes. */
export const CODES_MAX = 200;

let keys = 0;

export function line(stored: ResultCode): Line {
  return { ...stored, stored, key: keys++ };
}

export function blank(): Line {
  const code = { code: "", label: "", disposition: "ANSWERED", isRightParty: false, isConversion: false, isRetired: false } as const;
  return { ...code, stored: null, key: keys++ };
}

/** What is sent of a line. */
export function code(of: ResultCode): ResultCode {
  const { disposition, isRightParty, isConversion, isRetired } = of;
  return { code: of.code.trim(), label: of.label.trim(), disposition, isRightParty, isConversion, isRetired };
}

/**
 * The lines that are sent as the whole list: all in use, and retired ones with another change. Codes that are left out
 * are retired, so those that were retired long ago take no place in the list.
 */
export function sent(lines: readonly Line[]): Line[] {
  return lines.filter((one) => !one.isRetired || one.stored === null || !isSame({ ...one, isRetired: one.stored.isRetired }, one.stored));
}

/** Whether there is anything to save. */
export function isChanged(lines: readonly Line[], stored: readonly ResultCode[]): boolean {
  return lines.length !== stored.length || lines.some((one, place) => !isSame(one, stored[place]));
}

export function isSame(one: ResultCode, other: ResultCode | undefined): boolean {
  return other !== undefined && JSON.stringify(code(one)) === JSON.stringify(code(other));
}

/** The lines with one of them moved up by one place. */
export function raised(lines: readonly Line[], place: number): Line[] {
  const moved = [...lines];
  if (place > 0) moved.splice(place - 1, 2, ...moved.slice(place - 1, place + 1).reverse());
  return moved;
}
