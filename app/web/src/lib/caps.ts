// Caps of a policy as people set and read them: so many calls in so many hours.
import type { CapScope, CapSubject } from "../generated/graphql";
import { duration, inUnits, seconds } from "./duration";

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

export const SUBJECTS: Record<CapSubject, string> = { ADDRESS: "to one number or address", TARGET: "to one target" };
export const SCOPES: Record<CapScope, string> = { CUSTOMER: "on all lists together", OUTDIAL: "on this list" };

export function parts({ windowSeconds, ...cap }: Cap): CapParts {
  return { ...cap, ...inUnits(windowSeconds) };
}

export function whole({ amount, unit, ...cap }: CapParts): Cap {
  return { ...cap, windowSeconds: seconds({ amount, unit }) };
}

/** "At most 3 calls to one number or address in 24 hours, on all lists together." */
export function spoken(cap: CapParts): string {
  return `At most ${cap.tries === 1 ? "1 call" : `${String(cap.tries)} calls`} ${SUBJECTS[cap.per]} in ${duration(cap)}, ${SCOPES[cap.over]}.`;
}
