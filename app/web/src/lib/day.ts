// The reader's day: when it began, and its figures by the hour. Pure.

export const DAYS_COMPARED = 28;

export interface Span {
  from: string;
  to: string;
  timeZone: string;
}

/** A day of this browser's time zone, and the days before it. */
export function today(now: number, daysBefore = 0): Span {
  const day = new Date(now);
  const from = new Date(day.getFullYear(), day.getMonth(), day.getDate() - daysBefore);
  const to = new Date(day.getFullYear(), day.getMonth(), day.getDate() + 1);
  return { from: from.toISOString(), to: to.toISOString(), timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone };
}

/** The hour of this moment by the reader's clock; of another day as many of its minutes as have begun now. */
export function hourAgo(now: number, days = 0): Omit<Span, "timeZone"> {
  const moment = new Date(now);
  const from = new Date(moment.getFullYear(), moment.getMonth(), moment.getDate() - days, moment.getHours());
  const minutes = days ? moment.getMinutes() + 1 : 60;
  return { from: from.toISOString(), to: new Date(from.getTime() + minutes * 60_000).toISOString() };
}

/** One hour of a picture. */
export interface Hour {
  /** "09:00" */
  label: string;
  attempts: number;
  answered: number;
}

/** "09:00" of 9 */
export const hourName = (hour: number): string => `${String(hour).padStart(2, "0")}:00`;

/** All 24 hours of the day, those without attempts too. */
export function ofAllHours(rows: readonly { hour?: number | null; figures: { attempts: number; answered: number } }[]): Hour[] {
  const found = new Map(rows.map(({ hour, figures }) => [hour, figures]));
  return Array.from({ length: 24 }, (_, hour) => ({ label: hourName(hour), attempts: 0, answered: 0, ...found.get(hour) }));
}

/** "0:07", "12:30": minutes and seconds since an instant. A clock that goes wrong makes it no less than nothing. */
export function elapsed(since: string, now: number): string {
  const seconds = Math.max(0, Math.floor((now - Date.parse(since)) / 1_000));
  return `${String(Math.floor(seconds / 60))}:${String(seconds % 60).padStart(2, "0")}`;
}
