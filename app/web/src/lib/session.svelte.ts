// Who is logged in. The token is in a cookie that no script can read: the page knows the session by an id, which goes
// with each request. So a tab never acts for a customer who has logged in since in another one.
import { current, enter, leave, LoginProblem, SESSION_HEADER, tabs, takeLink, type Login, type Scope } from "./login";

/** `replaced`: another customer has logged in, in another tab; this one shows nothing until the reader has chosen. */
type State = "checking" | "out" | "in" | "expired" | "replaced";

const ELSEWHERE = "You logged out in another tab.";
const RETRY_MS = 2_000;
/** Clocks differ: the server says when a token has expired, and is asked no more often than this. */
const CHECK_MS_MIN = 5_000;
/** A timer holds 24 days at most. */
const TIMER_MS_MAX = 2_000_000_000;

class Session {
  state = $state<State>("checking");
  /** Why nobody is logged in any more, or what went wrong with the last try. */
  reason = $state("");
  /** A login that failed while another one goes on. */
  notice = $state("");
  id = $state("");
  customerId = $state("");
  subject = $state("");
  scopes = $state<readonly Scope[]>([]);
  /** When the token expires, in milliseconds since 1970; null if it does not. */
  expiresAt = $state<number | null>(null);
  /** Who has logged in meanwhile, if `replaced`. */
  other = $state.raw<Login | null>(null);
  /** Grows with each customer: what was begun for an earlier one is begun anew. */
  epoch = $state(0);
  #timer: ReturnType<typeof setTimeout> | undefined;
  #checking: Promise<void> | undefined;
  #tabs: BroadcastChannel | undefined;

  /** Take the token of a link, or go on with the session that this browser has. */
  begin(): void {
    this.#tabs = tabs();
    this.#tabs.onmessage = () => void this.check();
    addEventListener("hashchange", () => this.#follow(takeLink()));
    addEventListener("pageshow", (event) => {
      if (event.persisted) void this.check(); // shown once more as it was; somebody may have logged out since
    });
    const token = takeLink();
    if (token === null) void this.check();
    else this.#follow(token);
  }

  #follow(token: string | null): void {
    if (token !== null) void this.logIn(token);
  }

  /** Log in, and have the other tabs know. What goes wrong is in `reason`, or in `notice` while a session goes on. */
  async logIn(token: string): Promise<void> {
    try {
      const login = await enter(token);
      this.#become(login);
      this.#tabs?.postMessage(login.session);
    } catch (error) {
      if (this.state === "checking") await this.check();
      if (this.state === "in") this.notice = `The login link did not work: ${said(error)} You are still logged in as before.`;
      else this.reason = said(error);
    }
  }

  /** Ask the server who is logged in: after another tab's word, and when a request was refused. */
  check(): Promise<void> {
    this.#checking ??= this.#check().finally(() => (this.#checking = undefined));
    return this.#checking;
  }

  async #check(): Promise<void> {
    try {
      const found = await current();
      if (found.session === null) this.#end(found.message ? "expired" : "out", found.message || (this.state === "in" ? ELSEWHERE : ""));
      else if (this.state === "in" && found.customerId !== this.customerId) {
        this.other = found;
        this.state = "replaced";
      } else if (this.state !== "replaced" || found.customerId === this.customerId) this.#become(found);
      else this.other = found;
    } catch (error) {
      if (this.state !== "checking") return; // it goes on as it was; the next refusal asks again
      this.reason = said(error);
      setTimeout(() => void this.check(), RETRY_MS);
    }
  }

  /** Go on as who has logged in meanwhile. */
  adopt(): void {
    if (this.other) this.#become(this.other);
  }

  #become(login: Login): void {
    if (login.customerId !== this.customerId) this.epoch += 1;
    this.id = login.session;
    this.customerId = login.customerId;
    this.subject = login.subject;
    this.scopes = login.scopes;
    this.expiresAt = login.expiresAt ? Date.parse(login.expiresAt) : null;
    this.other = null;
    this.reason = this.notice = "";
    this.state = "in";
    clearTimeout(this.#timer);
    if (this.expiresAt === null) return;
    const left = Math.max(this.expiresAt - Date.now(), CHECK_MS_MIN);
    if (left < TIMER_MS_MAX) this.#timer = setTimeout(() => void this.check(), left);
  }

  /** What each request says of itself. */
  headers(): Record<string, string> {
    return { [SESSION_HEADER]: this.id };
  }

  can(scope: Scope): boolean {
    return this.scopes.includes(scope);
  }

  async logOut(): Promise<void> {
    try {
      await leave(this.id);
    } catch (error) {
      await this.check();
      if (this.state === "in") this.notice = `You are still logged in. ${said(error)}`;
      return;
    }
    this.#end("out", "");
    this.#tabs?.postMessage(null);
  }

  /** Begin all that is shown anew. */
  restart(): void {
    this.epoch += 1;
  }

  #end(state: "out" | "expired", reason: string): void {
    const was = this.state;
    clearTimeout(this.#timer);
    this.id = "";
    // A login for the same customer after an expiry goes on where one was; after a logout all begins anew.
    if (state === "out") this.customerId = "";
    this.scopes = [];
    this.expiresAt = null;
    this.other = null;
    this.notice = "";
    this.state = state;
    // A reason that stands there is of a login that failed just now.
    if (was !== "out" && was !== "expired") this.reason = reason;
  }
}

function said(error: unknown): string {
  return error instanceof LoginProblem ? error.message : "Something went wrong.";
}

export const session = new Session();
