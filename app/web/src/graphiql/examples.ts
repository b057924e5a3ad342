// What the first tab holds: an example for each task. They are tested against the schema.

export const EXAMPLES = `# One example for each task. Put the cursor into an operation and press Ctrl-Enter, or choose it with the run button.
# If you are logged in to the dashboard, requests use that login. To use another token, put it in Headers below:
#   {"Authorization": "Bearer <token>"}
# outdial token --customer <uuid> prints a token. Then load the schema again with the round arrow on the left.

query WhoAmI {
  viewer { customerId subject scopes expiresAt }
}

query Lists {
  outdials(first: 10) {
    nodes { id name state progress { total idle progressing done attempts } }
  }
}

mutation CreateList {
  createOutdial(input: { name: "Spring list", dialPolicy: { retryIntervalSeconds: 600 } }) {
    outdial { id }
    userErrors { message path }
  }
}

# The operations below need the id of a list. Put it in Variables: {"outdial": "…"}

mutation AddPerson($outdial: ID!) {
  createTarget(input: {
    outdialId: $outdial
    target: { key: "customer-1", name: "Ana Silva", destination0: { type: TEL, target: "+1 212 555 0142" } }
  }) {
    target { id status destinations { destination { target } tryCount maxTryCount } }
    userErrors { message path }
  }
}

query People($outdial: ID!) {
  outdial(id: $outdial) {
    targets(first: 20, where: { statuses: [IDLE] }) {
      totalCount
      nodes { id key name status doneReason nextTryAt destinations { destination { type target } tryCount } }
      pageInfo { hasNextPage endCursor }
    }
  }
}

mutation Claim($outdial: ID!) {
  claimTargets(input: { outdialId: $outdial, limit: 1, dialer: "me" }) {
    attempts { id destination { type target } expiresAt target { name } }
    userErrors { code message }
  }
}

# Variables: {"attempt": "…"}
mutation Report($attempt: ID!) {
  completeAttempts(input: { results: [{ attemptId: $attempt, disposition: NO_ANSWER }] }) {
    attempts { id state target { status nextTryAt } }
    userErrors { code message }
  }
}

query Imports($outdial: ID!) {
  outdial(id: $outdial) {
    imports(first: 5) {
      nodes {
        fileName state counts { read created updated skipped rejected }
        rejects(first: 10) { nodes { lineNumber column code message row } }
      }
    }
  }
}

subscription EveryChange($outdial: ID!) {
  targetEvents(outdialId: $outdial) {
    cursor
    events { type targetId status doneReason tryCounts version target { name } }
  }
}

subscription Counts($outdial: ID!) {
  outdialProgress(outdialIds: [$outdial]) {
    outdials { name state progress { total idle progressing done doneByReason { reason count } } }
  }
}
`;
