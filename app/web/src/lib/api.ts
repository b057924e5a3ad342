// Questions to the server over HTTP, and what its refusals say.
import type { TypedDocumentString } from "../generated/graphql";
import { base } from "./base";
import { session } from "./session.svelte";

const ANSWER_MS_MAX = 30_000;

/** What the reader should know; nothing of it is a bug of this page. */
export class Problem extends Error {}

/** The server refused what was entered. */
export class Refused extends Problem {
  /** What is wrong, by the field's name: the last step of its path that is no number. */
  readonly fields: ReadonlyMap<string, string>;

  constructor(errors: readonly UserError[]) {
    super(errors.map((error) => error.message).join(" "));
    this.fields = new Map(errors.map((error) => [error.path.join("."), error.message]));
  }
}

export interface UserError {
  message: string;
  path: readonly string[];
}

interface Answer<T> {
  data?: T | null;
  errors?: { message: string; extensions?: { code?: string } }[];
}

type Asked<R, V> = TypedDocumentString<R, V>;

export async function ask<R, V>(document: Asked<R, V>, variables: V): Promise<R> {
  const asked = { query: document.toString(), variables };
  const id = session.id;
  let answer = await post<R>(asked);
  if (isUnauthenticated(answer)) {
    await session.check();
    // The same customer has a new token, by another tab: nothing of the first request was done.
    if (session.state === "in" && session.id !== id) answer = await post<R>(asked);
  }
  const [error] = answer.errors ?? [];
  // A part that could not be had, such as a count that would take too long, leaves the rest.
  if (error && (answer.data === null || answer.data === undefined)) throw new Problem(error.message);
  if (!answer.data) throw new Problem("The server sent an unexpected answer. Reload the page.");
  return answer.data;
}

function isUnauthenticated(answer: Answer<unknown>): boolean {
  return answer.errors?.[0]?.extensions?.code === "UNAUTHENTICATED";
}

async function post<R>(body: unknown): Promise<Answer<R>> {
  let response: Response;
  try {
    response = await fetch(`${base}graphql`, {
      method: "POST",
      headers: { ...session.headers(), "Content-Type": "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    });
  } catch {
    throw new Problem("Cannot reach the server. Try again.");
  }
  try {
    return (await response.json()) as Answer<R>;
  } catch {
    throw new Problem(`The server answered with status ${response.status}. Try again later.`);
  }
}

/** Give a mutation's payload on, or throw what it refused. */
export function accepted<P extends { userErrors: readonly UserError[] }>(payload: P): P {
  if (payload.userErrors.length) throw new Refused(payload.userErrors);
  return payload;
}

/** What to tell the reader of an error. */
export function words(error: unknown): string {
  return error instanceof Problem ? error.message : "Something went wrong. Reload the page.";
}
