// Apollo Client with live events: OUTDIAL_TOKEN=… node apollo-client.mjs http://127.0.0.1:8000/graphql OUTDIAL_ID
import { ApolloClient, ApolloLink, HttpLink, gql } from "@apollo/client";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { createClient } from "graphql-ws";
import WebSocket from "ws"; // browsers have their own
import { applyEvents, createCache } from "./apollo-cache.mjs";

const uri = process.argv[2], id = process.argv[3];
const authorization = () => ({ Authorization: `Bearer ${process.env.OUTDIAL_TOKEN}` });
const socket = createClient({
  url: uri.replace(/^http/, "ws"), webSocketImpl: WebSocket, connectionParams: authorization,
  retryAttempts: Infinity, shouldRetry: () => true,
});
const client = new ApolloClient({
  cache: createCache(),
  link: ApolloLink.split(
    ({ operationType }) => operationType === "subscription",
    new GraphQLWsLink(socket),
    new HttpLink({ uri, headers: authorization() }),
  ),
});

const TARGETS = gql`query ($id: ID!) { outdial(id: $id) { id eventCursor targets(first: 50) {
  edges { cursor node { id name status version } } pageInfo { hasNextPage endCursor } } } }`;
const EVENTS = gql`subscription ($id: ID!, $after: EventCursor) { targetEvents(outdialId: $id, after: $after) {
  cursor gap events { targetId status doneReason nextTryAt version tryCounts } } }`;

const read = () => client.query({ query: TARGETS, variables: { id }, fetchPolicy: "network-only" });
const { data } = await read();
client.watchQuery({ query: TARGETS, variables: { id }, fetchPolicy: "cache-only" }).subscribe(({ data }) => {
  for (const { node } of data?.outdial?.targets.edges ?? []) console.log(node.name, node.status);
});
client.subscribe({ query: EVENTS, variables: { id, after: data.outdial.eventCursor } }).subscribe(({ data }) => {
  const { gap, events } = data.targetEvents;
  if (gap || events.some(({ targetId }) => !targetId)) read(); // an import, a change of many, or something was missed
  applyEvents(client.cache, events);
});
