// How fast an outdial is called at most, as people set and read it. Pure.
import type { PolicyQuery } from "../generated/graphql";
import { count, counted } from "./format";
import { duration, inUnits, seconds, type Amount } from "./duration";

export type Pacing = NonNullable<NonNullable<PolicyQuery["outdial"]>["dialPolicy"]["pacing"]>;

/** When it stops by itself, with times as amounts of units. Numbers are null while nothing is entered. */
export interface BreakerParts {
  failurePercent: number | null;
  minCalls: number | null;
  window: Amount;
  pause: Amount;
}

export interface PaceParts {
  maxOpenAttempts: number | null;
  claimsPerSecond: number | null;
  breaker: BreakerParts | null;
}

export const BREAKER: BreakerParts = { failurePercent: 50, minCalls: 20, window: inUnits(60), pause: inUnits(300) };

export function parts(pacing: Pacing | null | undefined): PaceParts {
  const { maxOpenAttempts = null, claimsPerSecond = null, breaker = null } = pacing ?? {};
  return {
    maxOpenAttempts,
    claimsPerSecond,
    breaker: breaker && { failurePercent: breaker.failurePercent, minCalls: breaker.minCalls, window: inUnits(breaker.windowSeconds), pause: inUnits(breaker.pauseSeconds) },
  };
}

/** Null if it bounds nothing. */
export function whole({ maxOpenAttempts, claimsPerSecond, breaker }: PaceParts): Pacing | null {
  if (maxOpenAttempts === null && claimsPerSecond === null && breaker === null) return null;
  return {
    maxOpenAttempts,
    claimsPerSecond,
    breaker: breaker && {
      failurePercent: breaker.failurePercent ?? 0,
      minCalls: breaker.minCalls ?? 0,
      windowSeconds: seconds(breaker.window),
      pauseSeconds: seconds(breaker.pause),
    },
  };
}

/** What a fraction means: "1 new call in 5 seconds". */
function rate(perSecond: number): string {
  if (perSecond >= 1) return `${counted(Math.floor(perSecond), "new call")} a second`;
  const lasting = Math.round(10 / perSecond) / 10;
  return `1 new call in ${count(lasting)} seconds`;
}

/** "At most 7 calls at once. At most 50 new calls a second. Stops for 5 minutes if 50% of at least 20 calls fail within 1 minute." */
export function spoken({ maxOpenAttempts, claimsPerSecond, breaker }: PaceParts): string {
  const said: string[] = [];
  if (maxOpenAttempts) said.push(`At most ${counted(maxOpenAttempts, "call")} at once.`);
  if (claimsPerSecond && claimsPerSecond > 0) said.push(`At most ${rate(claimsPerSecond)}.`);
  if (breaker) {
    const calls = counted(breaker.minCalls ?? 0, "call");
    said.push(`Stops for ${duration(breaker.pause)} if ${String(breaker.failurePercent ?? "…")}% of at least ${calls} fail within ${duration(breaker.window)}.`);
  }
  return said.join(" ") || "As fast as dialers ask.";
}
