// Everything that is asked of the server, in one place: a page's needs are read here, and their types are generated.
import { graphql } from "../generated";

export const OutdialFields = graphql(`
  fragment OutdialFields on Outdial {
    id
    campaignId
    name
    detail
    timeZone
    state
    tmCreate
    tmDelete
    dialPolicy {
      maxTryCounts
      retryIntervalSeconds
      leaseSeconds
      onUnconfirmed
      onUnknownTimeZone
      keepOrder
      version
    }
    progress {
      total
      idle
      progressing
      done
      doneByReason {
        reason
        count
      }
      attempts
    }
  }
`);

export const TargetFields = graphql(`
  fragment TargetFields on OutdialTarget {
    id
    key
    name
    status
    doneReason
    priority
    nextTryAt
    version
    tryCount0
    tryCount1
    tryCount2
    tryCount3
    tryCount4
    destinations {
      index
      destination {
        type
        target
      }
    }
  }
`);

export const OutdialsQuery = graphql(`
  query Outdials($after: String, $where: OutdialFilter) {
    outdials(first: 50, after: $after, where: $where) {
      totalCount
      pageInfo {
        hasNextPage
        endCursor
      }
      nodes {
        ...OutdialFields
      }
    }
  }
`);

/** The day and the hour of all outdials, or of those of a campaign, and the same hour of the day before. */
export const AllTodayQuery = graphql(`
  query AllToday(
    $from: DateTime!
    $to: DateTime!
    $hour: DateTime!
    $hourEnd: DateTime!
    $before: DateTime!
    $beforeEnd: DateTime!
    $timeZone: String!
    $campaignId: ID
  ) {
    day: stats(from: $from, to: $to, timeZone: $timeZone, campaignId: $campaignId) {
      total {
        attempts
        answered
      }
    }
    hour: stats(from: $hour, to: $hourEnd, timeZone: $timeZone, campaignId: $campaignId) {
      total {
        attempts
        answered
      }
    }
    before: stats(from: $before, to: $beforeEnd, bucket: MINUTE, timeZone: $timeZone, campaignId: $campaignId) {
      total {
        attempts
        answered
      }
    }
  }
`);

/** How many calls of each outdial are under way. */
export const CallsNowQuery = graphql(`
  query CallsNow($after: String, $campaignId: ID) {
    outdials(first: 100, after: $after, where: { campaignId: $campaignId }) {
      pageInfo {
        hasNextPage
        endCursor
      }
      nodes {
        progress {
          progressing
        }
      }
    }
  }
`);

/** When each of up to 100 outdials has something that can be claimed. Apart from their progress, which is followed. */
export const NextClaimsQuery = graphql(`
  query NextClaims($ids: [ID!]!) {
    nodes(ids: $ids) {
      ... on Outdial {
        id
        nextClaimAt
      }
    }
  }
`);

export const OutdialQuery = graphql(`
  query Outdial($id: ID!) {
    outdial(id: $id) {
      ...OutdialFields
    }
  }
`);

/** The whole policy. Lists of outdials leave out the hours: a hundred outdials may have thousands of them. */
export const PolicyQuery = graphql(`
  query Policy($id: ID!) {
    outdial(id: $id) {
      id
      timeZone
      dialPolicy {
        maxTryCounts
        retryIntervalSeconds
        leaseSeconds
        onUnconfirmed
        onUnknownTimeZone
        keepOrder
        caps {
          tries
          windowSeconds
          per
          over
        }
        callingHours {
          timeZone
          windows {
            weekday
            from
            to
          }
          exceptions {
            date
            name
            windows {
              from
              to
            }
          }
        }
        retryRules {
          states
          dispositions
          codes
          destinations
          fromNth
          action
          waitSeconds
          jitterPercent
        }
        pacing {
          maxOpenAttempts
          claimsPerSecond
          breaker {
            failurePercent
            windowSeconds
            minCalls
            pauseSeconds
          }
        }
        startsAt
        endsAt
      }
    }
  }
`);

/** An outdial's day by the hour, and how often calls were answered at each hour of the days since. */
export const DayQuery = graphql(`
  query Day($id: ID!, $from: DateTime!, $to: DateTime!, $since: DateTime!, $timeZone: String!) {
    outdial(id: $id) {
      id
      today: stats(from: $from, to: $to, bucket: HOUR, timeZone: $timeZone) {
        total {
          attempts
          answered
          reachedTargets
          conversions
        }
        rows {
          from
          figures {
            attempts
            answered
          }
        }
      }
      before: stats(from: $since, to: $to, groupBy: HOUR_OF_DAY, timeZone: $timeZone) {
        rows {
          hour
          figures {
            attempts
            answered
          }
        }
      }
    }
  }
`);

/** The newest calls that are under way. */
export const CallingNowQuery = graphql(`
  query CallingNow($id: ID!) {
    outdial(id: $id) {
      id
      attempts(first: 20, where: { states: [CLAIMED, DIALING] }) {
        totalCount
        nodes {
          id
          state
          dialer
          claimedAt
          destination {
            target
          }
          target {
            id
          }
        }
      }
    }
  }
`);

/** Why an outdial stands still, and how its breaker stands: most of it changes with the time, of which no event tells. */
export const StandingQuery = graphql(`
  query Standing($id: ID!) {
    outdial(id: $id) {
      id
      blockedBy {
        reason
        detail
        until
      }
      nextClaimAt
      progress {
        progressing
      }
      newest: attempts(first: 1) {
        nodes {
          claimedAt
        }
      }
      breaker {
        state
        openedAt
        pausedUntil
        calls
        failures
      }
      dialPolicy {
        pacing {
          maxOpenAttempts
          claimsPerSecond
          breaker {
            failurePercent
            windowSeconds
            minCalls
            pauseSeconds
          }
        }
      }
    }
  }
`);

export const CloseBreakerMutation = graphql(`
  mutation CloseBreaker($id: ID!) {
    closeBreaker(id: $id) {
      userErrors {
        message
        path
      }
    }
  }
`);

export const TargetsQuery = graphql(`
  query Targets($id: ID!, $first: Int!, $after: String, $where: TargetFilter) {
    outdial(id: $id) {
      eventCursor
      targets(first: $first, after: $after, where: $where) {
        totalCount
        pageInfo {
          hasNextPage
          endCursor
        }
        nodes {
          ...TargetFields
        }
      }
    }
  }
`);

export const CallbackFields = graphql(`
  fragment CallbackFields on Callback {
    at
    destinationIndex
    dialer
    windowSeconds
    note
    openedAt
  }
`);

/** The targets of an outdial that wait for their callback. */
export const CallbacksQuery = graphql(`
  query Callbacks($id: ID!, $after: String) {
    outdial(id: $id) {
      targets(first: 100, after: $after, where: { hasCallback: true }) {
        totalCount
        pageInfo {
          hasNextPage
          endCursor
        }
        nodes {
          id
          key
          name
          status
          callback {
            ...CallbackFields
          }
          destinations {
            index
            destination {
              target
            }
          }
        }
      }
    }
  }
`);

export const ScheduleCallbackMutation = graphql(`
  mutation ScheduleCallback($input: ScheduleCallbackInput!) {
    scheduleCallback(input: $input) {
      userErrors {
        message
        path
      }
    }
  }
`);

export const CancelCallbackMutation = graphql(`
  mutation CancelCallback($id: ID!) {
    cancelCallback(id: $id) {
      userErrors {
        message
        path
      }
    }
  }
`);

export const TargetQuery = graphql(`
  query Target($id: ID!, $after: String) {
    target(id: $id) {
      ...TargetFields
      detail
      data
      timeZone
      maxTryCounts
      tmCreate
      tmUpdate
      tmDelete
      callback {
        ...CallbackFields
      }
      places: destinations {
        index
        destination {
          type
          target
          targetName
          name
          detail
        }
        tryCount
        maxTryCount
        usable
        timeZone
        timeZoneSource
        blockedBy {
          detail
          until
        }
      }
      blockedBy {
        reason
        detail
        until
      }
      outdial {
        id
        timeZone
        blockedBy {
          reason
          detail
          until
        }
      }
      attempts(first: 20, after: $after) {
        totalCount
        pageInfo {
          hasNextPage
          endCursor
        }
        nodes {
          id
          tryNumber
          destinationIndex
          destination {
            target
          }
          state
          disposition
          code
          detail
          dialer
          callId
          claimedAt
          endedAt
          expiresAt
          ringSeconds
          talkSeconds
          permit {
            localTime
            timeZone
            timeZoneSource
            window {
              date
              from
              to
              exception
            }
            caps {
              tries
              windowSeconds
              per
              over
              used
            }
          }
        }
      }
    }
  }
`);

export const TargetEventsSubscription = graphql(`
  subscription TargetEvents($outdialId: ID!, $after: EventCursor) {
    targetEvents(outdialId: $outdialId, after: $after) {
      cursor
      gap
      caughtUp
      events {
        type
        occurredAt
        targetId
        count
        status
        doneReason
        tryCounts
        nextTryAt
        version
        disposition
      }
    }
  }
`);

export const ProgressSubscription = graphql(`
  subscription Progress($ids: [ID!]!) {
    outdialProgress(outdialIds: $ids, intervalMs: 500) {
      outdials {
        ...OutdialFields
      }
    }
  }
`);

export const OutdialEventsSubscription = graphql(`
  subscription OutdialEvents {
    outdialEvents {
      type
      outdialId
    }
  }
`);

export const CreateOutdialMutation = graphql(`
  mutation CreateOutdial($input: CreateOutdialInput!) {
    createOutdial(input: $input) {
      outdial {
        ...OutdialFields
      }
      userErrors {
        message
        path
      }
    }
  }
`);

export const UpdateOutdialMutation = graphql(`
  mutation UpdateOutdial($input: UpdateOutdialInput!) {
    updateOutdial(input: $input) {
      outdial {
        ...OutdialFields
      }
      userErrors {
        message
        path
      }
    }
  }
`);

export const DeleteOutdialMutation = graphql(`
  mutation DeleteOutdial($id: ID!) {
    deleteOutdial(id: $id) {
      userErrors {
        message
        path
      }
    }
  }
`);

export const CreateTargetMutation = graphql(`
  mutation CreateTarget($input: CreateTargetInput!) {
    createTarget(input: $input) {
      target {
        id
      }
      userErrors {
        message
        path
      }
    }
  }
`);

export const UpdateTargetMutation = graphql(`
  mutation UpdateTarget($input: UpdateTargetInput!) {
    updateTarget(input: $input) {
      userErrors {
        message
        path
      }
    }
  }
`);

export const CancelTargetMutation = graphql(`
  mutation CancelTarget($id: ID!) {
    cancelTarget(id: $id) {
      userErrors {
        message
        path
      }
    }
  }
`);

export const DeleteTargetMutation = graphql(`
  mutation DeleteTarget($id: ID!) {
    deleteTarget(id: $id) {
      userErrors {
        message
        path
      }
    }
  }
`);

export const UpdateTargetsMutation = graphql(`
  mutation UpdateTargets($input: UpdateTargetsInput!) {
    updateTargets(input: $input) {
      count
      remaining
      userErrors {
        message
        path
      }
    }
  }
`);

export const CancelTargetsMutation = graphql(`
  mutation CancelTargets($input: CancelTargetsInput!) {
    cancelTargets(input: $input) {
      count
      remaining
      userErrors {
        message
        path
      }
    }
  }
`);

export const ResetTargetsMutation = graphql(`
  mutation ResetTargets($input: ResetTargetsInput!) {
    resetTargets(input: $input) {
      count
      remaining
      userErrors {
        message
        path
      }
    }
  }
`);

export const JobFields = graphql(`
  fragment JobFields on ImportJob {
    id
    fileName
    state
    stopReason
    message
    dryRun
    warnings
    counts {
      read
      created
      updated
      skipped
      rejected
      suppressed
    }
  }
`);

export const ImportByKeyQuery = graphql(`
  query ImportByKey($id: ID!, $key: String!) {
    outdial(id: $id) {
      imports(first: 1, where: { idempotencyKey: $key }) {
        nodes {
          ...JobFields
        }
      }
    }
  }
`);

export const ImportProgressSubscription = graphql(`
  subscription ImportProgress($id: ID!) {
    importProgress(id: $id) {
      ...JobFields
    }
  }
`);

export const CancelImportMutation = graphql(`
  mutation CancelImport($id: ID!) {
    cancelImport(id: $id) {
      userErrors {
        message
        path
      }
    }
  }
`);

export const RejectsQuery = graphql(`
  query Rejects($id: ID!) {
    importJob(id: $id) {
      rejects(first: 100) {
        nodes {
          lineNumber
          column
          message
          row
        }
      }
    }
  }
`);

export const SuppressionFields = graphql(`
  fragment SuppressionFields on Suppression {
    id
    type
    target
    reason
    source
    expiresAt
    tmCreate
  }
`);

export const SuppressionsQuery = graphql(`
  query Suppressions($after: String, $where: SuppressionFilter) {
    suppressions(first: 100, after: $after, where: $where) {
      totalCount
      pageInfo {
        hasNextPage
        endCursor
      }
      nodes {
        ...SuppressionFields
      }
    }
  }
`);

export const AddSuppressionsMutation = graphql(`
  mutation AddSuppressions($input: AddSuppressionsInput!) {
    addSuppressions(input: $input) {
      suppressions {
        id
      }
      userErrors {
        message
        path
      }
    }
  }
`);

export const RemoveSuppressionsMutation = graphql(`
  mutation RemoveSuppressions($input: RemoveSuppressionsInput!) {
    removeSuppressions(input: $input) {
      suppressions {
        id
      }
      userErrors {
        message
        path
      }
    }
  }
`);

export const ResultCodeFields = graphql(`
  fragment ResultCodeFields on ResultCode {
    code
    label
    disposition
    isRightParty
    isConversion
    isRetired
  }
`);

export const ResultCodesQuery = graphql(`
  query ResultCodes {
    resultCodes {
      ...ResultCodeFields
    }
  }
`);

export const SetResultCodesMutation = graphql(`
  mutation SetResultCodes($input: SetResultCodesInput!) {
    setResultCodes(input: $input) {
      resultCodes {
        code
      }
      userErrors {
        message
        path
      }
    }
  }
`);
