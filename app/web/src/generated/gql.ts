/* eslint-disable */
import * as types from './graphql';



/**
 * Map of all GraphQL operations in the project.
 *
 * This map has several performance disadvantages:
 * 1. It is not tree-shakeable, so it will include all operations in the project.
 * 2. It is not minifiable, so the string of a GraphQL query will be multiple times inside the bundle.
 * 3. It does not support dead code elimination, so it will add unused operations.
 *
 * Therefore it is highly recommended to use the babel or swc plugin for production.
 * Learn more about it here: https://the-guild.dev/graphql/codegen/plugins/presets/preset-client#reducing-bundle-size
 */
type Documents = {
    "\n  fragment OutdialFields on Outdial {\n    id\n    campaignId\n    name\n    detail\n    timeZone\n    state\n    tmCreate\n    tmDelete\n    dialPolicy {\n      maxTryCounts\n      retryIntervalSeconds\n      leaseSeconds\n      onUnconfirmed\n      onUnknownTimeZone\n      keepOrder\n      version\n    }\n    progress {\n      total\n      idle\n      progressing\n      done\n      doneByReason {\n        reason\n        count\n      }\n      attempts\n    }\n  }\n": typeof types.OutdialFieldsFragmentDoc,
    "\n  fragment TargetFields on OutdialTarget {\n    id\n    key\n    name\n    status\n    doneReason\n    priority\n    nextTryAt\n    version\n    tryCount0\n    tryCount1\n    tryCount2\n    tryCount3\n    tryCount4\n    destinations {\n      index\n      destination {\n        type\n        target\n      }\n    }\n  }\n": typeof types.TargetFieldsFragmentDoc,
    "\n  query Outdials($after: String, $where: OutdialFilter) {\n    outdials(first: 50, after: $after, where: $where) {\n      totalCount\n      pageInfo {\n        hasNextPage\n        endCursor\n      }\n      nodes {\n        ...OutdialFields\n      }\n    }\n  }\n": typeof types.OutdialsDocument,
    "\n  query AllToday(\n    $from: DateTime!\n    $to: DateTime!\n    $hour: DateTime!\n    $hourEnd: DateTime!\n    $before: DateTime!\n    $beforeEnd: DateTime!\n    $timeZone: String!\n    $campaignId: ID\n  ) {\n    day: stats(from: $from, to: $to, timeZone: $timeZone, campaignId: $campaignId) {\n      total {\n        attempts\n        answered\n      }\n    }\n    hour: stats(from: $hour, to: $hourEnd, timeZone: $timeZone, campaignId: $campaignId) {\n      total {\n        attempts\n        answered\n      }\n    }\n    before: stats(from: $before, to: $beforeEnd, bucket: MINUTE, timeZone: $timeZone, campaignId: $campaignId) {\n      total {\n        attempts\n        answered\n      }\n    }\n  }\n": typeof types.AllTodayDocument,
    "\n  query CallsNow($after: String, $campaignId: ID) {\n    outdials(first: 100, after: $after, where: { campaignId: $campaignId }) {\n      pageInfo {\n        hasNextPage\n        endCursor\n      }\n      nodes {\n        progress {\n          progressing\n        }\n      }\n    }\n  }\n": typeof types.CallsNowDocument,
    "\n  query NextClaims($ids: [ID!]!) {\n    nodes(ids: $ids) {\n      ... on Outdial {\n        id\n        nextClaimAt\n      }\n    }\n  }\n": typeof types.NextClaimsDocument,
    "\n  query Outdial($id: ID!) {\n    outdial(id: $id) {\n      ...OutdialFields\n    }\n  }\n": typeof types.OutdialDocument,
    "\n  query Policy($id: ID!) {\n    outdial(id: $id) {\n      id\n      timeZone\n      dialPolicy {\n        maxTryCounts\n        retryIntervalSeconds\n        leaseSeconds\n        onUnconfirmed\n        onUnknownTimeZone\n        keepOrder\n        caps {\n          tries\n          windowSeconds\n          per\n          over\n        }\n        callingHours {\n          timeZone\n          windows {\n            weekday\n            from\n            to\n          }\n          exceptions {\n            date\n            name\n            windows {\n              from\n              to\n            }\n          }\n        }\n        retryRules {\n          states\n          dispositions\n          codes\n          destinations\n          fromNth\n          action\n          waitSeconds\n          jitterPercent\n        }\n        pacing {\n          maxOpenAttempts\n          claimsPerSecond\n          breaker {\n            failurePercent\n            windowSeconds\n            minCalls\n            pauseSeconds\n          }\n        }\n        startsAt\n        endsAt\n      }\n    }\n  }\n": typeof types.PolicyDocument,
    "\n  query Day($id: ID!, $from: DateTime!, $to: DateTime!, $since: DateTime!, $timeZone: String!) {\n    outdial(id: $id) {\n      id\n      today: stats(from: $from, to: $to, bucket: HOUR, timeZone: $timeZone) {\n        total {\n          attempts\n          answered\n          reachedTargets\n          conversions\n        }\n        rows {\n          from\n          figures {\n            attempts\n            answered\n          }\n        }\n      }\n      before: stats(from: $since, to: $to, groupBy: HOUR_OF_DAY, timeZone: $timeZone) {\n        rows {\n          hour\n          figures {\n            attempts\n            answered\n          }\n        }\n      }\n    }\n  }\n": typeof types.DayDocument,
    "\n  query CallingNow($id: ID!) {\n    outdial(id: $id) {\n      id\n      attempts(first: 20, where: { states: [CLAIMED, DIALING] }) {\n        totalCount\n        nodes {\n          id\n          state\n          dialer\n          claimedAt\n          destination {\n            target\n          }\n          target {\n            id\n          }\n        }\n      }\n    }\n  }\n": typeof types.CallingNowDocument,
    "\n  query Standing($id: ID!) {\n    outdial(id: $id) {\n      id\n      blockedBy {\n        reason\n        detail\n        until\n      }\n      nextClaimAt\n      progress {\n        progressing\n      }\n      newest: attempts(first: 1) {\n        nodes {\n          claimedAt\n        }\n      }\n      breaker {\n        state\n        openedAt\n        pausedUntil\n        calls\n        failures\n      }\n      dialPolicy {\n        pacing {\n          maxOpenAttempts\n          claimsPerSecond\n          breaker {\n            failurePercent\n            windowSeconds\n            minCalls\n            pauseSeconds\n          }\n        }\n      }\n    }\n  }\n": typeof types.StandingDocument,
    "\n  mutation CloseBreaker($id: ID!) {\n    closeBreaker(id: $id) {\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n": typeof types.CloseBreakerDocument,
    "\n  query Targets($id: ID!, $first: Int!, $after: String, $where: TargetFilter) {\n    outdial(id: $id) {\n      eventCursor\n      targets(first: $first, after: $after, where: $where) {\n        totalCount\n        pageInfo {\n          hasNextPage\n          endCursor\n        }\n        nodes {\n          ...TargetFields\n        }\n      }\n    }\n  }\n": typeof types.TargetsDocument,
    "\n  fragment CallbackFields on Callback {\n    at\n    destinationIndex\n    dialer\n    windowSeconds\n    note\n    openedAt\n  }\n": typeof types.CallbackFieldsFragmentDoc,
    "\n  query Callbacks($id: ID!, $after: String) {\n    outdial(id: $id) {\n      targets(first: 100, after: $after, where: { hasCallback: true }) {\n        totalCount\n        pageInfo {\n          hasNextPage\n          endCursor\n        }\n        nodes {\n          id\n          key\n          name\n          status\n          callback {\n            ...CallbackFields\n          }\n          destinations {\n            index\n            destination {\n              target\n            }\n          }\n        }\n      }\n    }\n  }\n": typeof types.CallbacksDocument,
    "\n  mutation ScheduleCallback($input: ScheduleCallbackInput!) {\n    scheduleCallback(input: $input) {\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n": typeof types.ScheduleCallbackDocument,
    "\n  mutation CancelCallback($id: ID!) {\n    cancelCallback(id: $id) {\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n": typeof types.CancelCallbackDocument,
    "\n  query Target($id: ID!, $after: String) {\n    target(id: $id) {\n      ...TargetFields\n      detail\n      data\n      timeZone\n      maxTryCounts\n      tmCreate\n      tmUpdate\n      tmDelete\n      callback {\n        ...CallbackFields\n      }\n      places: destinations {\n        index\n        destination {\n          type\n          target\n          targetName\n          name\n          detail\n        }\n        tryCount\n        maxTryCount\n        usable\n        timeZone\n        timeZoneSource\n        blockedBy {\n          detail\n          until\n        }\n      }\n      blockedBy {\n        reason\n        detail\n        until\n      }\n      outdial {\n        id\n        timeZone\n        blockedBy {\n          reason\n          detail\n          until\n        }\n      }\n      attempts(first: 20, after: $after) {\n        totalCount\n        pageInfo {\n          hasNextPage\n          endCursor\n        }\n        nodes {\n          id\n          tryNumber\n          destinationIndex\n          destination {\n            target\n          }\n          state\n          disposition\n          code\n          detail\n          dialer\n          callId\n          claimedAt\n          endedAt\n          expiresAt\n          ringSeconds\n          talkSeconds\n          permit {\n            localTime\n            timeZone\n            timeZoneSource\n            window {\n              date\n              from\n              to\n              exception\n            }\n            caps {\n              tries\n              windowSeconds\n              per\n              over\n              used\n            }\n          }\n        }\n      }\n    }\n  }\n": typeof types.TargetDocument,
    "\n  subscription TargetEvents($outdialId: ID!, $after: EventCursor) {\n    targetEvents(outdialId: $outdialId, after: $after) {\n      cursor\n      gap\n      caughtUp\n      events {\n        type\n        occurredAt\n        targetId\n        count\n        status\n        doneReason\n        tryCounts\n        nextTryAt\n        version\n        disposition\n      }\n    }\n  }\n": typeof types.TargetEventsDocument,
    "\n  subscription Progress($ids: [ID!]!) {\n    outdialProgress(outdialIds: $ids, intervalMs: 500) {\n      outdials {\n        ...OutdialFields\n      }\n    }\n  }\n": typeof types.ProgressDocument,
    "\n  subscription OutdialEvents {\n    outdialEvents {\n      type\n      outdialId\n    }\n  }\n": typeof types.OutdialEventsDocument,
    "\n  mutation CreateOutdial($input: CreateOutdialInput!) {\n    createOutdial(input: $input) {\n      outdial {\n        ...OutdialFields\n      }\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n": typeof types.CreateOutdialDocument,
    "\n  mutation UpdateOutdial($input: UpdateOutdialInput!) {\n    updateOutdial(input: $input) {\n      outdial {\n        ...OutdialFields\n      }\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n": typeof types.UpdateOutdialDocument,
    "\n  mutation DeleteOutdial($id: ID!) {\n    deleteOutdial(id: $id) {\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n": typeof types.DeleteOutdialDocument,
    "\n  mutation CreateTarget($input: CreateTargetInput!) {\n    createTarget(input: $input) {\n      target {\n        id\n      }\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n": typeof types.CreateTargetDocument,
    "\n  mutation UpdateTarget($input: UpdateTargetInput!) {\n    updateTarget(input: $input) {\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n": typeof types.UpdateTargetDocument,
    "\n  mutation CancelTarget($id: ID!) {\n    cancelTarget(id: $id) {\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n": typeof types.CancelTargetDocument,
    "\n  mutation DeleteTarget($id: ID!) {\n    deleteTarget(id: $id) {\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n": typeof types.DeleteTargetDocument,
    "\n  mutation UpdateTargets($input: UpdateTargetsInput!) {\n    updateTargets(input: $input) {\n      count\n      remaining\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n": typeof types.UpdateTargetsDocument,
    "\n  mutation CancelTargets($input: CancelTargetsInput!) {\n    cancelTargets(input: $input) {\n      count\n      remaining\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n": typeof types.CancelTargetsDocument,
    "\n  mutation ResetTargets($input: ResetTargetsInput!) {\n    resetTargets(input: $input) {\n      count\n      remaining\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n": typeof types.ResetTargetsDocument,
    "\n  fragment JobFields on ImportJob {\n    id\n    fileName\n    state\n    stopReason\n    message\n    dryRun\n    warnings\n    counts {\n      read\n      created\n      updated\n      skipped\n      rejected\n      suppressed\n    }\n  }\n": typeof types.JobFieldsFragmentDoc,
    "\n  query ImportByKey($id: ID!, $key: String!) {\n    outdial(id: $id) {\n      imports(first: 1, where: { idempotencyKey: $key }) {\n        nodes {\n          ...JobFields\n        }\n      }\n    }\n  }\n": typeof types.ImportByKeyDocument,
    "\n  subscription ImportProgress($id: ID!) {\n    importProgress(id: $id) {\n      ...JobFields\n    }\n  }\n": typeof types.ImportProgressDocument,
    "\n  mutation CancelImport($id: ID!) {\n    cancelImport(id: $id) {\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n": typeof types.CancelImportDocument,
    "\n  query Rejects($id: ID!) {\n    importJob(id: $id) {\n      rejects(first: 100) {\n        nodes {\n          lineNumber\n          column\n          message\n          row\n        }\n      }\n    }\n  }\n": typeof types.RejectsDocument,
    "\n  fragment SuppressionFields on Suppression {\n    id\n    type\n    target\n    reason\n    source\n    expiresAt\n    tmCreate\n  }\n": typeof types.SuppressionFieldsFragmentDoc,
    "\n  query Suppressions($after: String, $where: SuppressionFilter) {\n    suppressions(first: 100, after: $after, where: $where) {\n      totalCount\n      pageInfo {\n        hasNextPage\n        endCursor\n      }\n      nodes {\n        ...SuppressionFields\n      }\n    }\n  }\n": typeof types.SuppressionsDocument,
    "\n  mutation AddSuppressions($input: AddSuppressionsInput!) {\n    addSuppressions(input: $input) {\n      suppressions {\n        id\n      }\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n": typeof types.AddSuppressionsDocument,
    "\n  mutation RemoveSuppressions($input: RemoveSuppressionsInput!) {\n    removeSuppressions(input: $input) {\n      suppressions {\n        id\n      }\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n": typeof types.RemoveSuppressionsDocument,
    "\n  fragment ResultCodeFields on ResultCode {\n    code\n    label\n    disposition\n    isRightParty\n    isConversion\n    isRetired\n  }\n": typeof types.ResultCodeFieldsFragmentDoc,
    "\n  query ResultCodes {\n    resultCodes {\n      ...ResultCodeFields\n    }\n  }\n": typeof types.ResultCodesDocument,
    "\n  mutation SetResultCodes($input: SetResultCodesInput!) {\n    setResultCodes(input: $input) {\n      resultCodes {\n        code\n      }\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n": typeof types.SetResultCodesDocument,
};
const documents: Documents = {
    "\n  fragment OutdialFields on Outdial {\n    id\n    campaignId\n    name\n    detail\n    timeZone\n    state\n    tmCreate\n    tmDelete\n    dialPolicy {\n      maxTryCounts\n      retryIntervalSeconds\n      leaseSeconds\n      onUnconfirmed\n      onUnknownTimeZone\n      keepOrder\n      version\n    }\n    progress {\n      total\n      idle\n      progressing\n      done\n      doneByReason {\n        reason\n        count\n      }\n      attempts\n    }\n  }\n": types.OutdialFieldsFragmentDoc,
    "\n  fragment TargetFields on OutdialTarget {\n    id\n    key\n    name\n    status\n    doneReason\n    priority\n    nextTryAt\n    version\n    tryCount0\n    tryCount1\n    tryCount2\n    tryCount3\n    tryCount4\n    destinations {\n      index\n      destination {\n        type\n        target\n      }\n    }\n  }\n": types.TargetFieldsFragmentDoc,
    "\n  query Outdials($after: String, $where: OutdialFilter) {\n    outdials(first: 50, after: $after, where: $where) {\n      totalCount\n      pageInfo {\n        hasNextPage\n        endCursor\n      }\n      nodes {\n        ...OutdialFields\n      }\n    }\n  }\n": types.OutdialsDocument,
    "\n  query AllToday(\n    $from: DateTime!\n    $to: DateTime!\n    $hour: DateTime!\n    $hourEnd: DateTime!\n    $before: DateTime!\n    $beforeEnd: DateTime!\n    $timeZone: String!\n    $campaignId: ID\n  ) {\n    day: stats(from: $from, to: $to, timeZone: $timeZone, campaignId: $campaignId) {\n      total {\n        attempts\n        answered\n      }\n    }\n    hour: stats(from: $hour, to: $hourEnd, timeZone: $timeZone, campaignId: $campaignId) {\n      total {\n        attempts\n        answered\n      }\n    }\n    before: stats(from: $before, to: $beforeEnd, bucket: MINUTE, timeZone: $timeZone, campaignId: $campaignId) {\n      total {\n        attempts\n        answered\n      }\n    }\n  }\n": types.AllTodayDocument,
    "\n  query CallsNow($after: String, $campaignId: ID) {\n    outdials(first: 100, after: $after, where: { campaignId: $campaignId }) {\n      pageInfo {\n        hasNextPage\n        endCursor\n      }\n      nodes {\n        progress {\n          progressing\n        }\n      }\n    }\n  }\n": types.CallsNowDocument,
    "\n  query NextClaims($ids: [ID!]!) {\n    nodes(ids: $ids) {\n      ... on Outdial {\n        id\n        nextClaimAt\n      }\n    }\n  }\n": types.NextClaimsDocument,
    "\n  query Outdial($id: ID!) {\n    outdial(id: $id) {\n      ...OutdialFields\n    }\n  }\n": types.OutdialDocument,
    "\n  query Policy($id: ID!) {\n    outdial(id: $id) {\n      id\n      timeZone\n      dialPolicy {\n        maxTryCounts\n        retryIntervalSeconds\n        leaseSeconds\n        onUnconfirmed\n        onUnknownTimeZone\n        keepOrder\n        caps {\n          tries\n          windowSeconds\n          per\n          over\n        }\n        callingHours {\n          timeZone\n          windows {\n            weekday\n            from\n            to\n          }\n          exceptions {\n            date\n            name\n            windows {\n              from\n              to\n            }\n          }\n        }\n        retryRules {\n          states\n          dispositions\n          codes\n          destinations\n          fromNth\n          action\n          waitSeconds\n          jitterPercent\n        }\n        pacing {\n          maxOpenAttempts\n          claimsPerSecond\n          breaker {\n            failurePercent\n            windowSeconds\n            minCalls\n            pauseSeconds\n          }\n        }\n        startsAt\n        endsAt\n      }\n    }\n  }\n": types.PolicyDocument,
    "\n  query Day($id: ID!, $from: DateTime!, $to: DateTime!, $since: DateTime!, $timeZone: String!) {\n    outdial(id: $id) {\n      id\n      today: stats(from: $from, to: $to, bucket: HOUR, timeZone: $timeZone) {\n        total {\n          attempts\n          answered\n          reachedTargets\n          conversions\n        }\n        rows {\n          from\n          figures {\n            attempts\n            answered\n          }\n        }\n      }\n      before: stats(from: $since, to: $to, groupBy: HOUR_OF_DAY, timeZone: $timeZone) {\n        rows {\n          hour\n          figures {\n            attempts\n            answered\n          }\n        }\n      }\n    }\n  }\n": types.DayDocument,
    "\n  query CallingNow($id: ID!) {\n    outdial(id: $id) {\n      id\n      attempts(first: 20, where: { states: [CLAIMED, DIALING] }) {\n        totalCount\n        nodes {\n          id\n          state\n          dialer\n          claimedAt\n          destination {\n            target\n          }\n          target {\n            id\n          }\n        }\n      }\n    }\n  }\n": types.CallingNowDocument,
    "\n  query Standing($id: ID!) {\n    outdial(id: $id) {\n      id\n      blockedBy {\n        reason\n        detail\n        until\n      }\n      nextClaimAt\n      progress {\n        progressing\n      }\n      newest: attempts(first: 1) {\n        nodes {\n          claimedAt\n        }\n      }\n      breaker {\n        state\n        openedAt\n        pausedUntil\n        calls\n        failures\n      }\n      dialPolicy {\n        pacing {\n          maxOpenAttempts\n          claimsPerSecond\n          breaker {\n            failurePercent\n            windowSeconds\n            minCalls\n            pauseSeconds\n          }\n        }\n      }\n    }\n  }\n": types.StandingDocument,
    "\n  mutation CloseBreaker($id: ID!) {\n    closeBreaker(id: $id) {\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n": types.CloseBreakerDocument,
    "\n  query Targets($id: ID!, $first: Int!, $after: String, $where: TargetFilter) {\n    outdial(id: $id) {\n      eventCursor\n      targets(first: $first, after: $after, where: $where) {\n        totalCount\n        pageInfo {\n          hasNextPage\n          endCursor\n        }\n        nodes {\n          ...TargetFields\n        }\n      }\n    }\n  }\n": types.TargetsDocument,
    "\n  fragment CallbackFields on Callback {\n    at\n    destinationIndex\n    dialer\n    windowSeconds\n    note\n    openedAt\n  }\n": types.CallbackFieldsFragmentDoc,
    "\n  query Callbacks($id: ID!, $after: String) {\n    outdial(id: $id) {\n      targets(first: 100, after: $after, where: { hasCallback: true }) {\n        totalCount\n        pageInfo {\n          hasNextPage\n          endCursor\n        }\n        nodes {\n          id\n          key\n          name\n          status\n          callback {\n            ...CallbackFields\n          }\n          destinations {\n            index\n            destination {\n              target\n            }\n          }\n        }\n      }\n    }\n  }\n": types.CallbacksDocument,
    "\n  mutation ScheduleCallback($input: ScheduleCallbackInput!) {\n    scheduleCallback(input: $input) {\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n": types.ScheduleCallbackDocument,
    "\n  mutation CancelCallback($id: ID!) {\n    cancelCallback(id: $id) {\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n": types.CancelCallbackDocument,
    "\n  query Target($id: ID!, $after: String) {\n    target(id: $id) {\n      ...TargetFields\n      detail\n      data\n      timeZone\n      maxTryCounts\n      tmCreate\n      tmUpdate\n      tmDelete\n      callback {\n        ...CallbackFields\n      }\n      places: destinations {\n        index\n        destination {\n          type\n          target\n          targetName\n          name\n          detail\n        }\n        tryCount\n        maxTryCount\n        usable\n        timeZone\n        timeZoneSource\n        blockedBy {\n          detail\n          until\n        }\n      }\n      blockedBy {\n        reason\n        detail\n        until\n      }\n      outdial {\n        id\n        timeZone\n        blockedBy {\n          reason\n          detail\n          until\n        }\n      }\n      attempts(first: 20, after: $after) {\n        totalCount\n        pageInfo {\n          hasNextPage\n          endCursor\n        }\n        nodes {\n          id\n          tryNumber\n          destinationIndex\n          destination {\n            target\n          }\n          state\n          disposition\n          code\n          detail\n          dialer\n          callId\n          claimedAt\n          endedAt\n          expiresAt\n          ringSeconds\n          talkSeconds\n          permit {\n            localTime\n            timeZone\n            timeZoneSource\n            window {\n              date\n              from\n              to\n              exception\n            }\n            caps {\n              tries\n              windowSeconds\n              per\n              over\n              used\n            }\n          }\n        }\n      }\n    }\n  }\n": types.TargetDocument,
    "\n  subscription TargetEvents($outdialId: ID!, $after: EventCursor) {\n    targetEvents(outdialId: $outdialId, after: $after) {\n      cursor\n      gap\n      caughtUp\n      events {\n        type\n        occurredAt\n        targetId\n        count\n        status\n        doneReason\n        tryCounts\n        nextTryAt\n        version\n        disposition\n      }\n    }\n  }\n": types.TargetEventsDocument,
    "\n  subscription Progress($ids: [ID!]!) {\n    outdialProgress(outdialIds: $ids, intervalMs: 500) {\n      outdials {\n        ...OutdialFields\n      }\n    }\n  }\n": types.ProgressDocument,
    "\n  subscription OutdialEvents {\n    outdialEvents {\n      type\n      outdialId\n    }\n  }\n": types.OutdialEventsDocument,
    "\n  mutation CreateOutdial($input: CreateOutdialInput!) {\n    createOutdial(input: $input) {\n      outdial {\n        ...OutdialFields\n      }\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n": types.CreateOutdialDocument,
    "\n  mutation UpdateOutdial($input: UpdateOutdialInput!) {\n    updateOutdial(input: $input) {\n      outdial {\n        ...OutdialFields\n      }\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n": types.UpdateOutdialDocument,
    "\n  mutation DeleteOutdial($id: ID!) {\n    deleteOutdial(id: $id) {\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n": types.DeleteOutdialDocument,
    "\n  mutation CreateTarget($input: CreateTargetInput!) {\n    createTarget(input: $input) {\n      target {\n        id\n      }\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n": types.CreateTargetDocument,
    "\n  mutation UpdateTarget($input: UpdateTargetInput!) {\n    updateTarget(input: $input) {\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n": types.UpdateTargetDocument,
    "\n  mutation CancelTarget($id: ID!) {\n    cancelTarget(id: $id) {\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n": types.CancelTargetDocument,
    "\n  mutation DeleteTarget($id: ID!) {\n    deleteTarget(id: $id) {\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n": types.DeleteTargetDocument,
    "\n  mutation UpdateTargets($input: UpdateTargetsInput!) {\n    updateTargets(input: $input) {\n      count\n      remaining\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n": types.UpdateTargetsDocument,
    "\n  mutation CancelTargets($input: CancelTargetsInput!) {\n    cancelTargets(input: $input) {\n      count\n      remaining\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n": types.CancelTargetsDocument,
    "\n  mutation ResetTargets($input: ResetTargetsInput!) {\n    resetTargets(input: $input) {\n      count\n      remaining\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n": types.ResetTargetsDocument,
    "\n  fragment JobFields on ImportJob {\n    id\n    fileName\n    state\n    stopReason\n    message\n    dryRun\n    warnings\n    counts {\n      read\n      created\n      updated\n      skipped\n      rejected\n      suppressed\n    }\n  }\n": types.JobFieldsFragmentDoc,
    "\n  query ImportByKey($id: ID!, $key: String!) {\n    outdial(id: $id) {\n      imports(first: 1, where: { idempotencyKey: $key }) {\n        nodes {\n          ...JobFields\n        }\n      }\n    }\n  }\n": types.ImportByKeyDocument,
    "\n  subscription ImportProgress($id: ID!) {\n    importProgress(id: $id) {\n      ...JobFields\n    }\n  }\n": types.ImportProgressDocument,
    "\n  mutation CancelImport($id: ID!) {\n    cancelImport(id: $id) {\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n": types.CancelImportDocument,
    "\n  query Rejects($id: ID!) {\n    importJob(id: $id) {\n      rejects(first: 100) {\n        nodes {\n          lineNumber\n          column\n          message\n          row\n        }\n      }\n    }\n  }\n": types.RejectsDocument,
    "\n  fragment SuppressionFields on Suppression {\n    id\n    type\n    target\n    reason\n    source\n    expiresAt\n    tmCreate\n  }\n": types.SuppressionFieldsFragmentDoc,
    "\n  query Suppressions($after: String, $where: SuppressionFilter) {\n    suppressions(first: 100, after: $after, where: $where) {\n      totalCount\n      pageInfo {\n        hasNextPage\n        endCursor\n      }\n      nodes {\n        ...SuppressionFields\n      }\n    }\n  }\n": types.SuppressionsDocument,
    "\n  mutation AddSuppressions($input: AddSuppressionsInput!) {\n    addSuppressions(input: $input) {\n      suppressions {\n        id\n      }\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n": types.AddSuppressionsDocument,
    "\n  mutation RemoveSuppressions($input: RemoveSuppressionsInput!) {\n    removeSuppressions(input: $input) {\n      suppressions {\n        id\n      }\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n": types.RemoveSuppressionsDocument,
    "\n  fragment ResultCodeFields on ResultCode {\n    code\n    label\n    disposition\n    isRightParty\n    isConversion\n    isRetired\n  }\n": types.ResultCodeFieldsFragmentDoc,
    "\n  query ResultCodes {\n    resultCodes {\n      ...ResultCodeFields\n    }\n  }\n": types.ResultCodesDocument,
    "\n  mutation SetResultCodes($input: SetResultCodesInput!) {\n    setResultCodes(input: $input) {\n      resultCodes {\n        code\n      }\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n": types.SetResultCodesDocument,
};

/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  fragment OutdialFields on Outdial {\n    id\n    campaignId\n    name\n    detail\n    timeZone\n    state\n    tmCreate\n    tmDelete\n    dialPolicy {\n      maxTryCounts\n      retryIntervalSeconds\n      leaseSeconds\n      onUnconfirmed\n      onUnknownTimeZone\n      keepOrder\n      version\n    }\n    progress {\n      total\n      idle\n      progressing\n      done\n      doneByReason {\n        reason\n        count\n      }\n      attempts\n    }\n  }\n"): typeof import('./graphql').OutdialFieldsFragmentDoc;
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  fragment TargetFields on OutdialTarget {\n    id\n    key\n    name\n    status\n    doneReason\n    priority\n    nextTryAt\n    version\n    tryCount0\n    tryCount1\n    tryCount2\n    tryCount3\n    tryCount4\n    destinations {\n      index\n      destination {\n        type\n        target\n      }\n    }\n  }\n"): typeof import('./graphql').TargetFieldsFragmentDoc;
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query Outdials($after: String, $where: OutdialFilter) {\n    outdials(first: 50, after: $after, where: $where) {\n      totalCount\n      pageInfo {\n        hasNextPage\n        endCursor\n      }\n      nodes {\n        ...OutdialFields\n      }\n    }\n  }\n"): typeof import('./graphql').OutdialsDocument;
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query AllToday(\n    $from: DateTime!\n    $to: DateTime!\n    $hour: DateTime!\n    $hourEnd: DateTime!\n    $before: DateTime!\n    $beforeEnd: DateTime!\n    $timeZone: String!\n    $campaignId: ID\n  ) {\n    day: stats(from: $from, to: $to, timeZone: $timeZone, campaignId: $campaignId) {\n      total {\n        attempts\n        answered\n      }\n    }\n    hour: stats(from: $hour, to: $hourEnd, timeZone: $timeZone, campaignId: $campaignId) {\n      total {\n        attempts\n        answered\n      }\n    }\n    before: stats(from: $before, to: $beforeEnd, bucket: MINUTE, timeZone: $timeZone, campaignId: $campaignId) {\n      total {\n        attempts\n        answered\n      }\n    }\n  }\n"): typeof import('./graphql').AllTodayDocument;
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query CallsNow($after: String, $campaignId: ID) {\n    outdials(first: 100, after: $after, where: { campaignId: $campaignId }) {\n      pageInfo {\n        hasNextPage\n        endCursor\n      }\n      nodes {\n        progress {\n          progressing\n        }\n      }\n    }\n  }\n"): typeof import('./graphql').CallsNowDocument;
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query NextClaims($ids: [ID!]!) {\n    nodes(ids: $ids) {\n      ... on Outdial {\n        id\n        nextClaimAt\n      }\n    }\n  }\n"): typeof import('./graphql').NextClaimsDocument;
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query Outdial($id: ID!) {\n    outdial(id: $id) {\n      ...OutdialFields\n    }\n  }\n"): typeof import('./graphql').OutdialDocument;
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query Policy($id: ID!) {\n    outdial(id: $id) {\n      id\n      timeZone\n      dialPolicy {\n        maxTryCounts\n        retryIntervalSeconds\n        leaseSeconds\n        onUnconfirmed\n        onUnknownTimeZone\n        keepOrder\n        caps {\n          tries\n          windowSeconds\n          per\n          over\n        }\n        callingHours {\n          timeZone\n          windows {\n            weekday\n            from\n            to\n          }\n          exceptions {\n            date\n            name\n            windows {\n              from\n              to\n            }\n          }\n        }\n        retryRules {\n          states\n          dispositions\n          codes\n          destinations\n          fromNth\n          action\n          waitSeconds\n          jitterPercent\n        }\n        pacing {\n          maxOpenAttempts\n          claimsPerSecond\n          breaker {\n            failurePercent\n            windowSeconds\n            minCalls\n            pauseSeconds\n          }\n        }\n        startsAt\n        endsAt\n      }\n    }\n  }\n"): typeof import('./graphql').PolicyDocument;
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query Day($id: ID!, $from: DateTime!, $to: DateTime!, $since: DateTime!, $timeZone: String!) {\n    outdial(id: $id) {\n      id\n      today: stats(from: $from, to: $to, bucket: HOUR, timeZone: $timeZone) {\n        total {\n          attempts\n          answered\n          reachedTargets\n          conversions\n        }\n        rows {\n          from\n          figures {\n            attempts\n            answered\n          }\n        }\n      }\n      before: stats(from: $since, to: $to, groupBy: HOUR_OF_DAY, timeZone: $timeZone) {\n        rows {\n          hour\n          figures {\n            attempts\n            answered\n          }\n        }\n      }\n    }\n  }\n"): typeof import('./graphql').DayDocument;
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query CallingNow($id: ID!) {\n    outdial(id: $id) {\n      id\n      attempts(first: 20, where: { states: [CLAIMED, DIALING] }) {\n        totalCount\n        nodes {\n          id\n          state\n          dialer\n          claimedAt\n          destination {\n            target\n          }\n          target {\n            id\n          }\n        }\n      }\n    }\n  }\n"): typeof import('./graphql').CallingNowDocument;
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query Standing($id: ID!) {\n    outdial(id: $id) {\n      id\n      blockedBy {\n        reason\n        detail\n        until\n      }\n      nextClaimAt\n      progress {\n        progressing\n      }\n      newest: attempts(first: 1) {\n        nodes {\n          claimedAt\n        }\n      }\n      breaker {\n        state\n        openedAt\n        pausedUntil\n        calls\n        failures\n      }\n      dialPolicy {\n        pacing {\n          maxOpenAttempts\n          claimsPerSecond\n          breaker {\n            failurePercent\n            windowSeconds\n            minCalls\n            pauseSeconds\n          }\n        }\n      }\n    }\n  }\n"): typeof import('./graphql').StandingDocument;
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation CloseBreaker($id: ID!) {\n    closeBreaker(id: $id) {\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n"): typeof import('./graphql').CloseBreakerDocument;
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query Targets($id: ID!, $first: Int!, $after: String, $where: TargetFilter) {\n    outdial(id: $id) {\n      eventCursor\n      targets(first: $first, after: $after, where: $where) {\n        totalCount\n        pageInfo {\n          hasNextPage\n          endCursor\n        }\n        nodes {\n          ...TargetFields\n        }\n      }\n    }\n  }\n"): typeof import('./graphql').TargetsDocument;
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  fragment CallbackFields on Callback {\n    at\n    destinationIndex\n    dialer\n    windowSeconds\n    note\n    openedAt\n  }\n"): typeof import('./graphql').CallbackFieldsFragmentDoc;
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query Callbacks($id: ID!, $after: String) {\n    outdial(id: $id) {\n      targets(first: 100, after: $after, where: { hasCallback: true }) {\n        totalCount\n        pageInfo {\n          hasNextPage\n          endCursor\n        }\n        nodes {\n          id\n          key\n          name\n          status\n          callback {\n            ...CallbackFields\n          }\n          destinations {\n            index\n            destination {\n              target\n            }\n          }\n        }\n      }\n    }\n  }\n"): typeof import('./graphql').CallbacksDocument;
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation ScheduleCallback($input: ScheduleCallbackInput!) {\n    scheduleCallback(input: $input) {\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n"): typeof import('./graphql').ScheduleCallbackDocument;
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation CancelCallback($id: ID!) {\n    cancelCallback(id: $id) {\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n"): typeof import('./graphql').CancelCallbackDocument;
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query Target($id: ID!, $after: String) {\n    target(id: $id) {\n      ...TargetFields\n      detail\n      data\n      timeZone\n      maxTryCounts\n      tmCreate\n      tmUpdate\n      tmDelete\n      callback {\n        ...CallbackFields\n      }\n      places: destinations {\n        index\n        destination {\n          type\n          target\n          targetName\n          name\n          detail\n        }\n        tryCount\n        maxTryCount\n        usable\n        timeZone\n        timeZoneSource\n        blockedBy {\n          detail\n          until\n        }\n      }\n      blockedBy {\n        reason\n        detail\n        until\n      }\n      outdial {\n        id\n        timeZone\n        blockedBy {\n          reason\n          detail\n          until\n        }\n      }\n      attempts(first: 20, after: $after) {\n        totalCount\n        pageInfo {\n          hasNextPage\n          endCursor\n        }\n        nodes {\n          id\n          tryNumber\n          destinationIndex\n          destination {\n            target\n          }\n          state\n          disposition\n          code\n          detail\n          dialer\n          callId\n          claimedAt\n          endedAt\n          expiresAt\n          ringSeconds\n          talkSeconds\n          permit {\n            localTime\n            timeZone\n            timeZoneSource\n            window {\n              date\n              from\n              to\n              exception\n            }\n            caps {\n              tries\n              windowSeconds\n              per\n              over\n              used\n            }\n          }\n        }\n      }\n    }\n  }\n"): typeof import('./graphql').TargetDocument;
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  subscription TargetEvents($outdialId: ID!, $after: EventCursor) {\n    targetEvents(outdialId: $outdialId, after: $after) {\n      cursor\n      gap\n      caughtUp\n      events {\n        type\n        occurredAt\n        targetId\n        count\n        status\n        doneReason\n        tryCounts\n        nextTryAt\n        version\n        disposition\n      }\n    }\n  }\n"): typeof import('./graphql').TargetEventsDocument;
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  subscription Progress($ids: [ID!]!) {\n    outdialProgress(outdialIds: $ids, intervalMs: 500) {\n      outdials {\n        ...OutdialFields\n      }\n    }\n  }\n"): typeof import('./graphql').ProgressDocument;
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  subscription OutdialEvents {\n    outdialEvents {\n      type\n      outdialId\n    }\n  }\n"): typeof import('./graphql').OutdialEventsDocument;
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation CreateOutdial($input: CreateOutdialInput!) {\n    createOutdial(input: $input) {\n      outdial {\n        ...OutdialFields\n      }\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n"): typeof import('./graphql').CreateOutdialDocument;
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation UpdateOutdial($input: UpdateOutdialInput!) {\n    updateOutdial(input: $input) {\n      outdial {\n        ...OutdialFields\n      }\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n"): typeof import('./graphql').UpdateOutdialDocument;
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation DeleteOutdial($id: ID!) {\n    deleteOutdial(id: $id) {\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n"): typeof import('./graphql').DeleteOutdialDocument;
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation CreateTarget($input: CreateTargetInput!) {\n    createTarget(input: $input) {\n      target {\n        id\n      }\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n"): typeof import('./graphql').CreateTargetDocument;
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation UpdateTarget($input: UpdateTargetInput!) {\n    updateTarget(input: $input) {\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n"): typeof import('./graphql').UpdateTargetDocument;
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation CancelTarget($id: ID!) {\n    cancelTarget(id: $id) {\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n"): typeof import('./graphql').CancelTargetDocument;
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation DeleteTarget($id: ID!) {\n    deleteTarget(id: $id) {\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n"): typeof import('./graphql').DeleteTargetDocument;
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation UpdateTargets($input: UpdateTargetsInput!) {\n    updateTargets(input: $input) {\n      count\n      remaining\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n"): typeof import('./graphql').UpdateTargetsDocument;
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation CancelTargets($input: CancelTargetsInput!) {\n    cancelTargets(input: $input) {\n      count\n      remaining\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n"): typeof import('./graphql').CancelTargetsDocument;
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation ResetTargets($input: ResetTargetsInput!) {\n    resetTargets(input: $input) {\n      count\n      remaining\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n"): typeof import('./graphql').ResetTargetsDocument;
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  fragment JobFields on ImportJob {\n    id\n    fileName\n    state\n    stopReason\n    message\n    dryRun\n    warnings\n    counts {\n      read\n      created\n      updated\n      skipped\n      rejected\n      suppressed\n    }\n  }\n"): typeof import('./graphql').JobFieldsFragmentDoc;
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query ImportByKey($id: ID!, $key: String!) {\n    outdial(id: $id) {\n      imports(first: 1, where: { idempotencyKey: $key }) {\n        nodes {\n          ...JobFields\n        }\n      }\n    }\n  }\n"): typeof import('./graphql').ImportByKeyDocument;
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  subscription ImportProgress($id: ID!) {\n    importProgress(id: $id) {\n      ...JobFields\n    }\n  }\n"): typeof import('./graphql').ImportProgressDocument;
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation CancelImport($id: ID!) {\n    cancelImport(id: $id) {\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n"): typeof import('./graphql').CancelImportDocument;
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query Rejects($id: ID!) {\n    importJob(id: $id) {\n      rejects(first: 100) {\n        nodes {\n          lineNumber\n          column\n          message\n          row\n        }\n      }\n    }\n  }\n"): typeof import('./graphql').RejectsDocument;
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  fragment SuppressionFields on Suppression {\n    id\n    type\n    target\n    reason\n    source\n    expiresAt\n    tmCreate\n  }\n"): typeof import('./graphql').SuppressionFieldsFragmentDoc;
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query Suppressions($after: String, $where: SuppressionFilter) {\n    suppressions(first: 100, after: $after, where: $where) {\n      totalCount\n      pageInfo {\n        hasNextPage\n        endCursor\n      }\n      nodes {\n        ...SuppressionFields\n      }\n    }\n  }\n"): typeof import('./graphql').SuppressionsDocument;
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation AddSuppressions($input: AddSuppressionsInput!) {\n    addSuppressions(input: $input) {\n      suppressions {\n        id\n      }\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n"): typeof import('./graphql').AddSuppressionsDocument;
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation RemoveSuppressions($input: RemoveSuppressionsInput!) {\n    removeSuppressions(input: $input) {\n      suppressions {\n        id\n      }\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n"): typeof import('./graphql').RemoveSuppressionsDocument;
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  fragment ResultCodeFields on ResultCode {\n    code\n    label\n    disposition\n    isRightParty\n    isConversion\n    isRetired\n  }\n"): typeof import('./graphql').ResultCodeFieldsFragmentDoc;
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query ResultCodes {\n    resultCodes {\n      ...ResultCodeFields\n    }\n  }\n"): typeof import('./graphql').ResultCodesDocument;
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation SetResultCodes($input: SetResultCodesInput!) {\n    setResultCodes(input: $input) {\n      resultCodes {\n        code\n      }\n      userErrors {\n        message\n        path\n      }\n    }\n  }\n"): typeof import('./graphql').SetResultCodesDocument;


export function graphql(source: string) {
  return (documents as any)[source] ?? {};
}
