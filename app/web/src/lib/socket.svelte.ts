// The one WebSocket of the page: it comes back by itself, and subscriptions go on where they were.
import { createClient, type Client } from "graphql-ws";
import type { TypedDocumentString } from "../generated/graphql";
import { base } from "./base";
import { session } from "./session.svelte";

const WAIT_MS_MAX = 5_000;
const KEEP_ALIVE_MS = 10_000;
const UNAUTHORIZED = 4401;
const FORBIDDEN = 4403; // the server's close code for a token that has expired

export type Connection = "connecting" | "live" | "offline";

class Socket {
  state = $state<Connection>("connecting");
  /** How often it was there anew: what is not resumed by a cursor is read again then. */
  connections = $state(0);
  #client: Client | undefined;

  #open(): Client {
    const url = new URL(`${base}graphql`, location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    let alive: WebSocket | undefined;
    let silent: ReturnType<typeof setTimeout> | undefined;
    return createClient({
      url: url.href,
      connectionParams: () => ({ Authorization: `Bearer ${session.token ?? ""}` }),
      lazyCloseTimeout: 1_000,
      keepAlive: KEEP_ALIVE_MS,
      retryAttempts: Infinity,
      shouldRetry: () => session.state === "in",
      retryWait: (retries) => waited(Math.min(WAIT_MS_MAX, 200 * 2 ** retries) * (0.5 + Math.random() / 2)),
      on: {
        opened: (socket) => (alive = socket as WebSocket),
        connected: () => {
          this.state = "live";
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
          if (code === UNAUTHORIZED || code === FORBIDDEN) session.expire("The token has expired or is not valid.");
          this.state = code === 1000 && wasClean ? "connecting" : "offline";
        },
      },
    });
  }

  /**
   * Follow a subscription until it is let go.
   * @param variables are read again at each reconnect: whoever changes them resumes where they point.
   */
  follow<R, V extends Record<string, unknown>>(
    document: TypedDocumentString<R, V>,
    variables: V,
    sink: { next: (data: R) => void; complete?: () => void; failed?: (message: string) => void },
  ): () => void {
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

  /** After a log-out, or before another token is used. */
  close(): void {
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
