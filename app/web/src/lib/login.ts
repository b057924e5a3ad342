// Logging in and out, for both pages. The token goes to the server once, which keeps it in a cookie out of scripts' reach.
import { base } from "./base";

/** By it a request names the session that it is sent for; the cookie alone opens nothing. */
export const SESSION_HEADER = "Outdial-Session";
const ANSWER_MS_MAX = 15_000;

export type Scope = "READ" | "WRITE" | "DIAL";

export interface Login {
  session: string;
  customerId: string;
  subject: string;
  scopes: readonly Scope[];
  expiresAt: string | null;
}

interface Nobody {
  session: null;
  /** Why the cookie that was there is good no more; empty if there was none. */
  message: string;
}

/** The server did not do it, and why. */
export class LoginProblem extends Error {
  constructor(
    message: string,
    /** Whether the same may go well later. */
    readonly isPassing: boolean,
  ) {
    super(message);
  }
}

/** Who is logged in, in this browser. */
export const current = (): Promise<Login | Nobody> => send("GET", {});

export const enter = (token: string): Promise<Login> => {
  // A header holds no other characters, and a token neither.
  if (!/^[\x21-\x7e]+$/.test(token)) return Promise.reject(new LoginProblem("The token is not a valid JWT.", false));
  return send("POST", { Authorization: `Bearer ${token}` });
};

export const leave = (session: string): Promise<Nobody> => send("DELETE", { [SESSION_HEADER]: session });

/** The token of a link such as /#token=…, which browsers send to nobody; it is taken out of the address bar at once. */
export function takeLink(): string | null {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given !== null) history.replaceState(history.state, "", location.pathname + location.search);
  return given;
}

/** What the tabs of a browser tell each other: that somebody logged in or out. */
export function tabs(): BroadcastChannel {
  return new BroadcastChannel(`outdial session ${base}`);
}

async function send<T>(method: string, headers: Record<string, string>): Promise<T> {
  let response: Response;
  try {
    response = await fetch(`${base}session`, { method, headers, cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS_MAX) });
  } catch {
    throw new LoginProblem("Cannot reach the server.", true);
  }
  const body = (await response.json().catch(() => null)) as (T & { errors?: { message: string }[] }) | null;
  if (response.ok && body) return body;
  throw new LoginProblem(body?.errors?.[0]?.message ?? `The server answered with status ${response.status}.`, response.status >= 500);
}
