// urql with live events: OUTDIAL_TOKEN=… node urql.mjs http://127.0.0.1:8000/graphql OUTDIAL_ID
import { Client, cacheExchange, fetchExchange, gql, subscriptionExchange } from "@urql/core";
import { createClient } from "graphql-ws";
import WebSocket from "ws"; // browsers have their own

const url = process.argv[2], id = process.argv[3];
const authorization = () => ({ Authorization: `Bearer ${process.env.OUTDIAL_TOKEN}` });
const socket = createClient({
  url: url.replace(/^http/, "ws"),
  webSocketImpl: WebSocket,
  connectionParams: authorization,
  retryAttempts: Infinity,
  shouldRetry: () => true,
});
const client = new Client({
  url,
  fetchOptions: () => ({ headers: authorization() }),
  preferGetMethod: false,
  exchanges: [
    cacheExchange,
    fetchExchange,
    subscriptionExchange({
      forwardSubscription: ({ query, variables }) => ({
        subscribe: (sink) => ({ unsubscribe: socket.subscribe({ query, variables }, sink) }),
      }),
    }),
  ],
});

const read = await client.query(gql`query ($id: ID!) { outdial(id: $id) { name eventCursor } }`, { id }).toPromise();
console.log(read.data.outdial.name);
const events = gql`subscription ($id: ID!, $after: EventCursor) {
  targetEvents(outdialId: $id, after: $after) { cursor events { type targetId version } }
}`;
client.subscription(events, { id, after: read.data.outdial.eventCursor }).subscribe(({ data }) => {
  for (const event of data?.targetEvents.events ?? []) console.log(event.type);
});
