// Numbers and times in one way, whatever the browser's language: the page is in English, and so are its months and
// units. Times are in the reader's time zone, by 24 hours, with the month as a word: no two countries read them differently.

const whole = new Intl.NumberFormat("en");
const share = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 0 });
const moment = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const short = new Intl.DateTimeFormat("en-GB", { timeStyle: "short" });
const ahead = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const away = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });

export const count = (value: number): string => whole.format(value);
export const percent = (part: number, total: number): string => share.format(total ? part / total : 0);
export const instant = (text: string): string => moment.format(new Date(text));
export const timeOfDay = (milliseconds: number): string => clock.format(new Date(milliseconds));
export const minutes = (milliseconds: number): string => short.format(new Date(milliseconds));

/** "09:00" today; "Mon, 1 Dec, 09:00" on another day. */
export function upcoming(milliseconds: number, now: number): string {
  const isToday = new Date(milliseconds).toDateString() === new Date(now).toDateString();
  return isToday ? minutes(milliseconds) : ahead.format(milliseconds);
}

/** "Mon 14:05" at a place; the name alone if this browser does not know the zone. */
export function localTime(milliseconds: number, timeZone: string): string {
  try {
    return new Intl.DateTimeFormat("en-GB", { timeZone, weekday: "short", hour: "2-digit", minute: "2-digit" }).format(milliseconds);
  } catch {
    return "";
  }
}

/** "in 5 min.", "2 hr. ago" */
export function relative(text: string, now: number): string {
  const seconds = Math.round((Date.parse(text) - now) / 1_000);
  const size = Math.abs(seconds);
  if (size < 60) return away.format(seconds, "second");
  if (size < 3_600) return away.format(Math.trunc(seconds / 60), "minute");
  if (size < 172_800) return away.format(Math.trunc(seconds / 3_600), "hour");
  return away.format(Math.trunc(seconds / 86_400), "day");
}

/** "850 ms", "12 s" */
export function span(milliseconds: number): string {
  return milliseconds < 1_000 ? `${count(Math.round(milliseconds))} ms` : `${count(Math.round(milliseconds / 1_000))} s`;
}

/** "1 target", "2 targets" */
export function counted(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
}

/** DO_NOT_CALL as people read it: Do not call. */
export function label(name: string): string {
  const text = name.toLowerCase().replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}
