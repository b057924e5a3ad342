// Times that people set as an amount of a unit, given in seconds. Pure.

export const MINUTE = 60;
export const HOUR = 3_600;
export const DAY = 86_400;

export const UNITS: readonly [seconds: number, name: string][] = [
  [1, "seconds"],
  [MINUTE, "minutes"],
  [HOUR, "hours"],
  [DAY, "days"],
];

export interface Amount {
  /** Null while nothing is entered. */
  amount: number | null;
  /** In seconds. */
  unit: number;
}

/** In the largest unit that fits. One day is said in hours: it is not a day of the calendar. */
export function inUnits(whole: number): Amount & { amount: number } {
  const fitting = UNITS.filter(([seconds]) => whole > 0 && whole % seconds === 0 && (seconds < DAY || whole > DAY));
  const unit = fitting.at(-1)?.[0] ?? 1;
  return { amount: whole / unit, unit };
}

export const seconds = ({ amount, unit }: Amount): number => (amount ?? 0) * unit;

/** "24 hours" */
export function duration({ amount, unit }: Amount): string {
  const name = UNITS.find(([seconds]) => seconds === unit)?.[1] ?? "";
  return amount === 1 ? `1 ${name.slice(0, -1)}` : `${amount === null ? "…" : String(amount)} ${name}`;
}
