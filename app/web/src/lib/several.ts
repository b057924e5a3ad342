// One change of several outdials: one by one, a few at a time, and each that fails is named.
import type { OutdialState } from "../generated/graphql";
import { accepted, ask, words } from "./api";
import { UpdateOutdialMutation } from "./documents";

const AT_ONCE_MAX = 4;

export interface Failure {
  id: string;
  message: string;
}

/** Do it to each, at most four at a time. Returns those that failed, in their order. */
export async function each(ids: readonly string[], work: (id: string) => Promise<unknown>): Promise<Failure[]> {
  const failures = new Map<string, string>();
  const waiting = [...ids];
  const worker = async (): Promise<void> => {
    for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) {
      try {
        await work(id);
      } catch (error) {
        failures.set(id, words(error));
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE_MAX }, worker));
  return ids.flatMap((id) => (failures.has(id) ? [{ id, message: failures.get(id) ?? "" }] : []));
}

export const setStates = (ids: readonly string[], state: OutdialState): Promise<Failure[]> =>
  each(ids, async (id) => accepted((await ask(UpdateOutdialMutation, { input: { id, state } })).updateOutdial));
