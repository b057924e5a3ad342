// The one WebSocket of the page: it comes back by itself, and subscriptions go on where they were.
import { createClient, type Client } from "graphql-ws";
import type { TypedDocumentString } from "../generated/graphql";
import { base } from "./base";
import { session } from "./session.svelte";

const WAIT_MS_MAX = 5_000;
const KEEP_ALIVE_MS = 10_000;
const UNAUTHORIZED = 4401;
const FORBIDDEN = 4403; // the server's close code for a token that has expired
/** The server knows its own address by the header Host, which a proxy may have changed. */
const NO_LIVE_CHANGES = `The server does not take live connections from ${location.origin}. Have the proxy pass the Host header on, or set OUTDIAL_ALLOWED_ORIGINS to this address.`;

export type Connection = "connecting" | "live" | "offline";

class Socket {
  state = $state<Connection>("connecting");
  /** How often it was there anew: what is not resumed by a cursor is read again then. */
  connections = $state(0);
  /** Why there are no live changes, if that does not mend itself. */
  problem = $state("");
  #client: Client | undefined;
  /** Of whom the connection is. */
  #epoch = -1;

  #open(): Client {
    const url = new URL(`${base}graphql`, location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    let alive: WebSocket | undefined;
    let silent: ReturnType<typeof setTimeout> | undefined;
    return createClient({
      url: url.href,
      connectionParams: () => session.headers(),
      lazyCloseTimeout: 1_000,
      keepAlive: KEEP_ALIVE_MS,
      retryAttempts: Infinity,
      shouldRetry: () => session.state === "in",
      retryWait: (retries) => waited(Math.min(WAIT_MS_MAX, 200 * 2 ** retries) * (0.5 + Math.random() / 2)),
      on: {
        opened: (socket) => (alive = socket as WebSocket),
        connected: () => {
          this.state = "live";
          this.problem = "";
          this.connections += 1;
        },
        // A connection may be dead without saying so: a ping that is not answered in time ends it.
        ping: (received) => {
          if (!received) silent = setTimeout(() => alive?.close(4408, "No answer to a ping"), KEEP_ALIVE_MS / 2);
        },
        pong: (received) => {
          if (received) clearTimeout(silent);
        },
        closed: (event) => {
          clearTimeout(silent);
          const { code, wasClean } = event as CloseEvent;
          if (code === FORBIDDEN) void session.check(); // then another try, if there is another token
          if (code === UNAUTHORIZED) void this.#refused();
          this.state = code === 1000 && wasClean ? "connecting" : "offline";
        },
      },
    });
  }

  /** The session is none any more; or it is, and then something between here and the server is wrong. */
  async #refused(): Promise<void> {
    const id = session.id;
    await session.check();
    if (session.state !== "in") return;
    if (session.id === id) this.problem = NO_LIVE_CHANGES;
    else session.restart(); // it has a new token since, and what was followed has ended
  }

  /**
   * Follow a subscription until it is let go.
   * @param variables are read again at each reconnect: a change to them says where to resume.
   */
  follow<R, V extends Record<string, unknown>>(
    document: TypedDocumentString<R, V>,
    variables: V,
    sink: { next: (data: R) => void; complete?: () => void; failed?: (message: string) => void },
  ): () => void {
    if (this.#epoch !== session.epoch) this.close();
    this.#epoch = session.epoch;
    this.#client ??= this.#open();
    return this.#client.subscribe<R>(
      { query: document.toString(), variables },
      {
        next: ({ data }) => {
          if (data) sink.next(data);
        },
        error: (error) => {
          if (Array.isArray(error)) sink.failed?.(String((error[0] as { message?: string }).message));
        },
        complete: () => sink.complete?.(),
      },
    );
  }

  /** After a logout, or before another customer's login is used. */
  close(): void {
    this.problem = "";
    // It waits for a connection that is being made, and fails with it: a token that is refused ends both.
    Promise.resolve(this.#client?.dispose()).catch(() => undefined);
    this.#client = undefined;
    this.state = "connecting";
  }
}

function waited(ms: number): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      removeEventListener("online", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    addEventListener("online", done); // the network is back: no reason to wait on
  });
}

export const socket = new Socket();
