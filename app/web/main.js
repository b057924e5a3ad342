// GraphiQL on this server: queries by fetch, subscriptions by graphql-transport-ws, nothing from anywhere else.
import "graphiql/setup-workers/vite";
import "graphiql/style.css";
import "./main.css";

import { createGraphiQLFetcher } from "@graphiql/toolkit";
import { GraphiQL } from "graphiql";
import { createElement } from "react";
import { createRoot } from "react-dom/client";

const endpoint = new URL("/graphql", location.href);
const socket = new URL(endpoint);
socket.protocol = endpoint.protocol === "https:" ? "wss:" : "ws:";

// A link may bring a token after #, which browsers send to nobody. It is not left in the address bar.
const token = new URLSearchParams(location.hash.slice(1)).get("token");
if (token) history.replaceState(null, "", location.pathname + location.search);

const defaultQuery = `# Put a token into the Headers below, then fetch the schema again (the round arrow on the left).
# On the command line: outdial token --customer <uuid>

{
  viewer {
    customerId
    subject
    scopes
  }
  outdials(first: 10) {
    nodes {
      id
      name
      state
      progress {
        total
        idle
        progressing
        done
      }
    }
  }
}
`;

// The headers of the Headers tab also become the payload of connection_init. GraphiQL reads the schema before that tab
// is there, so a token from the link is given to it here.
const fetcher = createGraphiQLFetcher({ url: endpoint.href, subscriptionUrl: socket.href });
const known = token ? { Authorization: `Bearer ${token}` } : {};

createRoot(document.getElementById("graphiql")).render(
  createElement(GraphiQL, {
    fetcher: (parameters, options) => fetcher(parameters, { ...options, headers: { ...known, ...options?.headers } }),
    defaultQuery,
    initialHeaders: JSON.stringify({ Authorization: `Bearer ${token ?? ""}` }, null, 2),
    defaultEditorToolsVisibility: "headers",
    shouldPersistHeaders: false, // the token stays in this page
    showPersistHeadersSettings: false,
  }),
);
