// GraphiQL on this server: queries by fetch, subscriptions by graphql-transport-ws, nothing from anywhere else.
import "graphiql/setup-workers/vite";
import "graphiql/style.css";
import "./main.css";

import { createGraphiQLFetcher, type FetcherOpts, type FetcherParams } from "@graphiql/toolkit";
import { GraphiQL } from "graphiql";
import { createElement } from "react";
import { createRoot } from "react-dom/client";
import { base } from "../lib/base";
import { current, enter, SESSION_HEADER, tabs, takeLink } from "../lib/login";
import { EXAMPLES } from "./examples";
import { carried } from "./headers";
import { withoutHeaders } from "./storage";

const endpoint = new URL(`${base}graphql`, location.href);
const socket = new URL(endpoint);
socket.protocol = endpoint.protocol === "https:" ? "wss:" : "ws:";

const others = tabs();
const [session, token] = await loggedIn();

// The headers that a request carries also become the payload of connection_init.
const fetcher = createGraphiQLFetcher({ url: endpoint.href, subscriptionUrl: socket.href });
const own: Record<string, string> = session ? { [SESSION_HEADER]: session } : {};

createRoot(document.getElementById("graphiql")!).render(
  createElement(GraphiQL, {
    fetcher: (parameters: FetcherParams, options?: FetcherOpts) =>
      fetcher(parameters, { ...options, headers: carried(own, options?.headers as Record<string, unknown> | undefined) }),
    defaultQuery: EXAMPLES,
    initialHeaders: session ? "" : JSON.stringify({ Authorization: `Bearer ${token}` }, null, 2),
    defaultEditorToolsVisibility: session ? "variables" : "headers",
    storage: withoutHeaders(localStorage), // its history would keep the token
    shouldPersistHeaders: false,
    showPersistHeadersSettings: false,
  }),
);

// A login here or in another tab begins the page anew, with its tabs as they were.
others.onmessage = () => location.reload();
addEventListener("hashchange", () => {
  const link = takeLink();
  if (link !== null) void enter(link).then(announce, (error: Error) => alert(`The login link did not work: ${error.message}`));
});

function announce({ session: id }: { session: string }): void {
  others.postMessage(id);
  location.reload();
}

/** The session's id, by the token of a link or as this browser has it; else the token that is no session's. */
async function loggedIn(): Promise<[session: string | null, token: string]> {
  const link = takeLink();
  try {
    if (link === null) return [(await current()).session, ""];
    const { session: id } = await enter(link);
    others.postMessage(id);
    return [id, ""];
  } catch {
    return [null, link ?? ""]; // the answer to the first query says what is wrong with it
  }
}
