// Who is logged in. The token is kept in this tab's session storage and nowhere else.

import type { Scope } from "../generated/graphql";

const KEY = "outdial.token";

type State = "out" | "in" | "expired";

class Session {
  token = $state<string | null>(null);
  state = $state<State>("out");
  /** Why the last token is good no more, in the server's words. */
  reason = $state("");
  subject = $state("");
  scopes = $state<readonly Scope[]>([]);
  /** When the token runs out, in milliseconds since 1970; null where it does not. */
  expiresAt = $state<number | null>(null);
  /** Grows with every log-in: what was begun under an earlier token is begun anew. */
  epoch = $state(0);
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Take the token of a link (`#token=…`, which browsers send to nobody), or the one of this tab. */
  begin(): void {
    const given = new URLSearchParams(location.hash.slice(1)).get("token");
    if (given !== null) history.replaceState(history.state, "", location.pathname + location.search);
    const token = given ?? sessionStorage.getItem(KEY);
    if (token) this.logIn(token);
  }

  logIn(token: string): void {
    sessionStorage.setItem(KEY, token);
    this.token = token;
    this.state = "in";
    this.reason = "";
    this.epoch += 1;
  }

  /** What the server says of the token. */
  know(viewer: { subject: string; scopes: readonly Scope[]; expiresAt?: string | null }): void {
    this.subject = viewer.subject;
    this.scopes = viewer.scopes;
    this.expiresAt = viewer.expiresAt ? Date.parse(viewer.expiresAt) : null;
    clearTimeout(this.#timer);
    if (this.expiresAt !== null) {
      const left = this.expiresAt - Date.now();
      // A timer holds 24 days at most; the server will say it in any case.
      if (left < 2_000_000_000) this.#timer = setTimeout(() => this.expire("The token has expired."), Math.max(left, 0));
    }
  }

  can(scope: Scope): boolean {
    return this.scopes.includes(scope);
  }

  /** The server takes the token no longer. */
  expire(reason: string): void {
    if (this.state !== "in") return;
    this.#forget();
    this.state = "expired";
    this.reason = reason;
  }

  logOut(): void {
    this.#forget();
    this.state = "out";
    this.reason = "";
  }

  #forget(): void {
    clearTimeout(this.#timer);
    sessionStorage.removeItem(KEY);
    this.token = null;
    this.expiresAt = null;
    this.scopes = [];
  }
}

export const session = new Session();
