// Caps of a policy as people set and read them: so many calls in so many hours.
import type { CapScope, CapSubject } from "../generated/graphql";

export interface Cap {
  tries: number;
  windowSeconds: number;
  per: CapSubject;
  over: CapScope;
}

/** A cap whose time is an amount of a unit, given in seconds. */
export interface CapParts {
  tries: number;
  amount: number;
  unit: number;
  per: CapSubject;
  over: CapScope;
}

export const CAPS_MAX = 5;
export const WINDOW_SECONDS_MAX = 2_592_000;
export const DAY = 86_400;
const HOUR = 3_600;

export const UNITS: readonly [seconds: number, name: string][] = [
  [1, "seconds"],
  [60, "minutes"],
  [HOUR, "hours"],
  [DAY, "days"],
];
export const SUBJECTS: Record<CapSubject, string> = { ADDRESS: "to one number or address", TARGET: "to one target" };
export const SCOPES: Record<CapScope, string> = { CUSTOMER: "on all lists together", OUTDIAL: "on this list" };

/** One day is said in hours: it is not a day of the calendar. */
export function parts({ windowSeconds, ...cap }: Cap): CapParts {
  const fitting = UNITS.filter(([seconds]) => windowSeconds % seconds === 0 && (seconds < DAY || windowSeconds > DAY));
  const unit = fitting.at(-1)?.[0] ?? 1;
  return { ...cap, amount: windowSeconds / unit, unit };
}

export function whole({ amount, unit, ...cap }: CapParts): Cap {
  return { ...cap, windowSeconds: amount * unit };
}

/** "24 hours" */
export function duration({ amount, unit }: CapParts): string {
  const name = UNITS.find(([seconds]) => seconds === unit)?.[1] ?? "";
  return amount === 1 ? `1 ${name.slice(0, -1)}` : `${String(amount)} ${name}`;
}

/** "At most 3 calls to one number or address in 24 hours, on all lists together." */
export function spoken(cap: CapParts): string {
  return `At most ${cap.tries === 1 ? "1 call" : `${String(cap.tries)} calls`} ${SUBJECTS[cap.per]} in ${duration(cap)}, ${SCOPES[cap.over]}.`;
}
