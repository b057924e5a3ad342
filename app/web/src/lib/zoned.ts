// Times as a field shows them, by the clock of a place. Pure.

/** By which clock times are shown, and whose time zone that is. */
export interface Clock {
  timeZone: string;
  whose: string;
}

/** The clock of an outdial, or of another `whose`; of this browser if that has no time zone, or one that the browser does not know. */
export function clockOf(timeZone: string | null | undefined, whose = "the outdial's time zone"): Clock {
  try {
    if (timeZone) return { timeZone: new Intl.DateTimeFormat("en", { timeZone }).resolvedOptions().timeZone, whose };
  } catch {
    // one that is newer than the browser
  }
  return { timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone, whose: "this browser's time zone" };
}

/** What the clock of a zone shows, read as if it were UTC, in milliseconds. */
function shown(moment: number, timeZone: string): number {
  const format = new Intl.DateTimeFormat("en", { timeZone, hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric" });
  const part = Object.fromEntries(format.formatToParts(moment).map(({ type, value }) => [type, Number(value)]));
  return Date.UTC(part["year"]!, part["month"]! - 1, part["day"], part["hour"], part["minute"], part["second"]);
}

/** "2026-12-24T09:30" of an instant, for a field of type datetime-local; "" of none. */
export function localOf(instant: string | null | undefined, timeZone: string): string {
  return instant ? new Date(shown(Date.parse(instant), timeZone)).toISOString().slice(0, 16) : "";
}

/**
 * The instant at which the clock of the zone shows this; null of "". Of two, the first one; of a time that is skipped
 * when clocks go forward, as much later as they go.
 */
export function instantOf(local: string, timeZone: string): string | null {
  if (!local) return null;
  const wanted = Date.parse(`${local}Z`);
  const offsets = [-1, 1].map((day) => {
    const near = wanted + day * 86_400_000;
    return shown(near, timeZone) - near;
  });
  const moments = offsets.map((offset) => wanted - offset);
  const right = moments.filter((moment) => shown(moment, timeZone) === wanted);
  return new Date(right.length ? Math.min(...right) : Math.max(...moments)).toISOString();
}
