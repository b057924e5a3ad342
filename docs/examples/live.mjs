// Prints every change to a list: OUTDIAL_TOKEN=… node live.mjs ws://127.0.0.1:8000/graphql OUTDIAL_ID
import { createClient } from "graphql-ws";
import WebSocket from "ws"; // browsers have their own

const query = `subscription Changes($outdialId: ID!, $after: EventCursor) {
  targetEvents(outdialId: $outdialId, after: $after) {
    cursor gap events { cursor type targetId count status doneReason version }
  }
}`;
const variables = { outdialId: process.argv[3], after: process.env.AFTER ?? null };
const client = createClient({
  url: process.argv[2],
  webSocketImpl: WebSocket,
  connectionParams: () => ({ Authorization: `Bearer ${process.env.OUTDIAL_TOKEN}` }), // asked each time: renew it here
  retryAttempts: Infinity,
  shouldRetry: () => true, // it comes back after 1006, 1012 and 4403 (token expired), never after 4401 (bad token)
  keepAlive: 10_000, // finds out about dead connections
});
client.subscribe({ query, variables }, {
  next({ data }) {
    if (data.targetEvents.gap) console.log("Events are missing: read the targets afresh.");
    for (const event of data.targetEvents.events) console.log(JSON.stringify(event));
    variables.after = data.targetEvents.cursor; // graphql-ws sends this very object when it reconnects
  },
  error(problem) {
    console.error("Over:", problem);
    process.exitCode = 1;
  },
  complete: () => console.log("The list was deleted."),
});
