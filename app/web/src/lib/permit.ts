// Why a call was allowed, in words.
import type { TimeZoneSource } from "../generated/graphql";
import { parts, type Cap } from "./caps";
import { duration } from "./duration";
import { DAYS } from "./week";
import { ZONE } from "./words";

export interface Permit {
  localTime?: string | null;
  timeZone?: string | null;
  timeZoneSource: TimeZoneSource;
  window?: { date: string; from: string; to: string; exception?: string | null } | null;
  caps: (Cap & { used: number })[];
}

/** "Buenos Aires" of America/Argentina/Buenos_Aires */
const place = (timeZone: string): string => timeZone.replace(/^.*\//, "").replaceAll("_", " ");

/** Monday is the first. */
const weekday = (date: string): string => Object.values(DAYS)[(new Date(`${date}T00:00Z`).getUTCDay() + 6) % 7] ?? "";

/** "Allowed at 09:12 in Berlin (by the number), within Monday 09:00 to 18:00, as call 2 of 3 in 24 hours"; "" if nothing decided. */
export function permitted({ localTime, timeZone, timeZoneSource, window, caps }: Permit): string {
  const said: string[] = [];
  if (localTime && timeZone) said.push(`at ${localTime.slice(11, 16)} in ${place(timeZone)} (${ZONE[timeZoneSource]})`);
  if (window) said.push(`within ${window.exception ?? weekday(window.date)} ${window.from} to ${window.to}`);
  said.push(...caps.map((cap) => `as call ${String(cap.used + 1)} of ${String(cap.tries)} in ${duration(parts(cap))}`));
  return said.length ? `Allowed ${said.join(", ")}` : "";
}
