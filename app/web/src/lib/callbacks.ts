// Callbacks as people read them. Pure.
import type { CallbackFieldsFragment, CallbacksQuery } from "../generated/graphql";
import { duration, inUnits } from "./duration";
import { instant, relative } from "./format";

export type Callback = CallbackFieldsFragment;
export type Waiting = NonNullable<CallbacksQuery["outdial"]>["targets"]["nodes"][number];

/** "24 Dec 2026, 09:30:00 (in 5 min.)" */
export function when({ at }: Callback, now: number): string {
  return `${instant(at)} (${relative(at, now)})`;
}

/** "anna alone for 15 minutes, then anybody" */
export function forWhom({ dialer, windowSeconds, openedAt }: Callback, now: number): string {
  if (!dialer) return "anybody";
  if (!openedAt) return `${dialer} alone for ${duration(inUnits(windowSeconds))}, then anybody`;
  const end = Date.parse(openedAt) + windowSeconds * 1_000;
  return end > now ? `${dialer} alone until ${instant(new Date(end).toISOString())}, then anybody` : `anybody; it was for ${dialer}`;
}

/** The next one first. */
export function inOrder(targets: readonly Waiting[]): Waiting[] {
  return targets.filter((one) => one.callback).sort((a, b) => Date.parse(a.callback!.at) - Date.parse(b.callback!.at));
}
