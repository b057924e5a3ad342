// Why an outdial stands still, and how its breaker stands, in words. Pure.
import type { StandingQuery } from "../generated/graphql";
import { duration, inUnits } from "./duration";
import { counted, count, instant, relative } from "./format";
import { parts, spoken } from "./pace";
import { BREAKER, STOP } from "./words";

export type Standing = NonNullable<StandingQuery["outdial"]>;

/** "Until 24 Dec 2026, 09:30:00 (in 5 min.)." */
export function until(moment: string | null | undefined, now: number): string {
  return moment ? `Until ${instant(moment)} (${relative(moment, now)}).` : "";
}

/** What holds all of it: each reason, and how long. The pace is none of them: it goes on. */
export function stops({ blockedBy }: Standing, now: number): { said: string; until: string }[] {
  return blockedBy
    .filter(({ reason }) => reason !== "PACED")
    // When a breaker lets one call through, more is not known of when it closes: its own line says so.
    .map(({ reason, detail, until: end }) => ({ said: STOP[reason] ?? detail, until: reason === "BREAKER_OPEN" ? "" : until(end, now) }));
}

/** "At most 7 calls at once. It is called as fast as its pace allows."; "" without a pace. */
export function pace({ blockedBy, dialPolicy: { pacing } }: Standing): string {
  if (!pacing || (pacing.maxOpenAttempts === null && pacing.claimsPerSecond === null)) return "";
  const paced = blockedBy.some(({ reason }) => reason === "PACED") ? ` ${STOP.PACED ?? ""}` : "";
  return spoken({ ...parts(pacing), breaker: null }) + paced;
}

/** How its breaker stands; "" without one. */
export function breaker({ breaker: { state, openedAt, pausedUntil, calls, failures }, dialPolicy: { pacing } }: Standing, now: number): string {
  const given = pacing?.breaker;
  if (!given && state === "CLOSED") return "";
  const failed = `${count(failures)} of ${counted(calls, "call")}`;
  if (state === "CLOSED") return `${BREAKER.CLOSED}. ${failed} in ${duration(inUnits(given?.windowSeconds ?? 0))} failed.`;
  const since = openedAt ? ` Since ${instant(openedAt)} (${relative(openedAt, now)}), when ${failed} had failed.` : "";
  const next = !pausedUntil ? "" : Date.parse(pausedUntil) > now ? ` At ${instant(pausedUntil)} (${relative(pausedUntil, now)}), one call shows whether they still fail.` : " The next call shows whether they still fail.";
  return `${BREAKER[state]}.${since}${next}`;
}

/** A dialer that asks for targets asks more often. */
const ASKED_MS_MAX = 60_000;

/** What is waited for though nothing holds it: the next target's time, or a dialer. "" if neither. */
export function awaited({ blockedBy, nextClaimAt, progress, newest }: Standing, now: number): string {
  if (blockedBy.length || !nextClaimAt) return "";
  if (Date.parse(nextClaimAt) > now) {
    return progress.progressing ? "" : `No target can be called before ${instant(nextClaimAt)} (${relative(nextClaimAt, now)}).`;
  }
  const last = newest.nodes[0]?.claimedAt;
  if (now - Math.max(Date.parse(nextClaimAt), last ? Date.parse(last) : 0) < ASKED_MS_MAX) return "";
  if (!last) return "Targets can be called, but no dialer has claimed one yet.";
  return `Targets can be called, but no dialer has claimed one for ${since(last, now)}.`;
}

/** "12 minutes", "3 hours": how long ago an instant was, in whole units. */
function since(moment: string, now: number): string {
  const seconds = Math.floor((now - Date.parse(moment)) / 1_000);
  if (seconds < 7_200) return counted(Math.floor(seconds / 60), "minute");
  return seconds < 172_800 ? counted(Math.floor(seconds / 3_600), "hour") : counted(Math.floor(seconds / 86_400), "day");
}
