// What happened in the last minutes, counted in steps of a few seconds from the events that the page saw. Pure.
import type { Change } from "./fold";

export const STEP_SECONDS = 5;
export const STEPS = 120;
export const SERIES = ["claims", "answers", "others"] as const;
export type Series = (typeof SERIES)[number];

const ENDS = new Set(["COMPLETED", "EXPIRED", "UNCONFIRMED"]);

export function seriesOf(change: Pick<Change, "type" | "disposition">): Series | null {
  if (change.type === "CLAIMED") return "claims";
  if (!ENDS.has(change.type)) return null;
  return change.disposition === "ANSWERED" ? "answers" : "others";
}

export class Activity {
  /** By the number of the step since 1970; never more than `STEPS` of them. */
  readonly #steps = new Map<number, Record<Series, number>>();

  add(change: Pick<Change, "type" | "disposition" | "occurredAt">): void {
    const series = seriesOf(change);
    if (series === null) return;
    const step = stepAt(Date.parse(change.occurredAt));
    let counts = this.#steps.get(step);
    if (!counts) {
      counts = { claims: 0, answers: 0, others: 0 };
      this.#steps.set(step, counts);
      if (this.#steps.size > STEPS) this.#steps.delete(Math.min(...this.#steps.keys()));
    }
    counts[series] += 1;
  }

  /** The last steps up to a moment in milliseconds: when each began, in seconds, and its counts. */
  table(now: number): [number[], number[], number[], number[]] {
    const last = stepAt(now);
    const steps = Array.from({ length: STEPS }, (_, index) => last - STEPS + 1 + index);
    const counts = (series: Series): number[] => steps.map((step) => this.#steps.get(step)?.[series] ?? 0);
    return [steps.map((step) => step * STEP_SECONDS), counts("claims"), counts("answers"), counts("others")];
  }

  /** How many there were in the last minute. */
  lastMinute(now: number): Record<Series, number> {
    const first = stepAt(now) - 60 / STEP_SECONDS + 1;
    const sum: Record<Series, number> = { claims: 0, answers: 0, others: 0 };
    for (const [step, counts] of this.#steps) {
      if (step >= first) for (const series of SERIES) sum[series] += counts[series];
    }
    return sum;
  }
}

function stepAt(milliseconds: number): number {
  return Math.floor(milliseconds / 1_000 / STEP_SECONDS);
}

/**
 * How late events come, beyond the fastest that was seen: the reader's clock may be wrong, its difference to the
 * server's is the same for all.
 */
export class Lag {
  #least = Infinity;
  milliseconds = 0;

  see(occurredAt: string, now: number): void {
    const late = now - Date.parse(occurredAt);
    this.#least = Math.min(this.#least, late);
    this.milliseconds = late - this.#least;
  }
}
