// GraphiQL on this server: queries by fetch, subscriptions by graphql-transport-ws, nothing from anywhere else.
import "graphiql/setup-workers/vite";
import "graphiql/style.css";
import "./main.css";

import { createGraphiQLFetcher, type FetcherOpts, type FetcherParams } from "@graphiql/toolkit";
import { GraphiQL } from "graphiql";
import { createElement } from "react";
import { createRoot } from "react-dom/client";
import { base } from "../lib/base";
import { EXAMPLES } from "./examples";
import { withoutHeaders } from "./storage";

const endpoint = new URL(`${base}graphql`, location.href);
const socket = new URL(endpoint);
socket.protocol = endpoint.protocol === "https:" ? "wss:" : "ws:";

// A link may bring a token after #, which browsers send to nobody. It is not left in the address bar.
const token = new URLSearchParams(location.hash.slice(1)).get("token");
if (token !== null) history.replaceState(null, "", location.pathname + location.search);

// The headers of the Headers tab also become the payload of connection_init. GraphiQL reads the schema before that tab
// is there, so a token from the link is given to it here.
const fetcher = createGraphiQLFetcher({ url: endpoint.href, subscriptionUrl: socket.href });
const known = token ? { Authorization: `Bearer ${token}` } : {};

createRoot(document.getElementById("graphiql")!).render(
  createElement(GraphiQL, {
    fetcher: (parameters: FetcherParams, options?: FetcherOpts) =>
      fetcher(parameters, { ...options, headers: { ...known, ...(options?.headers as Record<string, string> | undefined) } }),
    defaultQuery: EXAMPLES,
    initialHeaders: JSON.stringify({ Authorization: `Bearer ${token ?? ""}` }, null, 2),
    defaultEditorToolsVisibility: "headers",
    storage: withoutHeaders(localStorage), // its history would keep the token
    shouldPersistHeaders: false,
    showPersistHeadersSettings: false,
  }),
);
