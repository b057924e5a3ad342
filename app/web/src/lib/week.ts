// A week of calling hours as a picture and as words.
import type { Weekday } from "../generated/graphql";

export interface Window {
  weekday: Weekday;
  from: string;
  to: string;
}

export const DAYS: Record<Weekday, string> = {
  MONDAY: "Monday",
  TUESDAY: "Tuesday",
  WEDNESDAY: "Wednesday",
  THURSDAY: "Thursday",
  FRIDAY: "Friday",
  SATURDAY: "Saturday",
  SUNDAY: "Sunday",
};
const ORDER = Object.keys(DAYS) as Weekday[];
const DAY = 1_440;

const minutes = (time: string): number => Number(time.slice(0, 2)) * 60 + Number(time.slice(3, 5));

/** Bars of minutes by row, Monday first. What lasts over midnight has a bar on the next day, too. */
export function bars(windows: Window[]): { row: number; from: number; to: number }[] {
  return windows
    .filter((window) => window.from && window.to)
    .flatMap((window) => {
      const row = ORDER.indexOf(window.weekday);
      const [from, to] = [minutes(window.from), minutes(window.to)];
      if (to > from) return [{ row, from, to }];
      const tail = { row: (row + 1) % ORDER.length, from: 0, to };
      return [{ row, from, to: DAY }, ...(to ? [tail] : [])];
    });
}

/** "Monday 09:00 to 18:00; Tuesday …" */
export function spoken(windows: Window[]): string {
  const sorted = [...windows].sort((a, b) => ORDER.indexOf(a.weekday) - ORDER.indexOf(b.weekday) || a.from.localeCompare(b.from));
  return sorted.map((window) => `${DAYS[window.weekday]} ${window.from} to ${window.to}`).join("; ") || "Never";
}

/** What most begin with. */
export const workdays = (): Window[] => ORDER.slice(0, 5).map((weekday) => ({ weekday, from: "09:00", to: "18:00" }));
