// Whether a target is called again: now, or never.
import type { TargetQuery } from "../generated/graphql";
import { accepted, ask } from "./api";
import { AddSuppressionsMutation, CancelTargetMutation, ResetTargetsMutation, TargetQuery as Asked, UpdateTargetMutation } from "./documents";

type Target = NonNullable<TargetQuery["target"]>;

const REASON = "Never call again";

/** It is due at once: as a target that waits, or with new tries if it is done. */
export async function callAgain({ id, status, outdial }: Target): Promise<void> {
  if (status === "DONE") accepted((await ask(ResetTargetsMutation, { input: { outdialId: outdial.id, targetIds: [id] } })).resetTargets);
  else accepted((await ask(UpdateTargetMutation, { input: { id, notBefore: null } })).updateTarget);
}

/** Its addresses go to the do-not-call list, which may end it already; if not, it is canceled. Returns what was done, in words. */
export async function neverCallAgain({ id, places }: Target): Promise<string> {
  const suppressions = places.map(({ destination: { type, target } }) => ({ type, target, reason: REASON }));
  if (suppressions.length) accepted((await ask(AddSuppressionsMutation, { input: { suppressions } })).addSuppressions);
  const isOver = async (): Promise<boolean> => (await ask(Asked, { id, after: null })).target?.status === "DONE";
  if (!(await isOver())) {
    const { userErrors } = (await ask(CancelTargetMutation, { id })).cancelTarget;
    // It may have ended by itself since.
    if (userErrors.length && !(await isOver())) accepted({ userErrors });
  }
  const listed = places.map((spot) => spot.destination.target).join(", ");
  return listed ? `It is never called again. On the do-not-call list now: ${listed}.` : "It is never called again.";
}
