/* eslint-disable */
/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
import type { DocumentTypeDecoration } from '@graphql-typed-document-node/core';
/** Where an attempt stands. CLAIMED and DIALING hold the target's lease, the others are final. */
export type AttemptState =
  /** Leased to a dialer that has not placed the call yet. */
  | 'CLAIMED'
  /** The dialer reported a disposition. */
  | 'COMPLETED'
  /** The dialer said that it placed the call. */
  | 'DIALING'
  /** The lease ran out before the call was placed; it counts as a try. */
  | 'EXPIRED'
  /** The dialer gave it back undialed; it does not count as a try. */
  | 'RELEASED'
  /** The target or its outdial was cancelled, finished or deleted meanwhile; it counts as a try. */
  | 'REVOKED'
  /** The lease ran out after the call was placed: nobody knows how it ended. */
  | 'UNCONFIRMED';

/** A new outdial. */
export type CreateOutdialInput = {
  /** The campaign that dials it. Null and the zero UUID: none does. */
  campaignId?: string | number | null | undefined;
  /** Free text for the owner's use, at most 65,536 characters; never interpreted. */
  data?: string;
  /** What it is for, at most 4,096 characters. */
  detail?: string;
  /** How it is dialed; the defaults hold for what is left out. */
  dialPolicy?: DialPolicyInput | null | undefined;
  /** The same key with the same input returns the first answer and creates nothing more. */
  idempotencyKey?: string | null | undefined;
  /** Its name, at most 255 characters. */
  name?: string;
};

/** A new target and the outdial that it is for. */
export type CreateTargetInput = {
  /** The same key with the same input returns the first answer and creates nothing more. */
  idempotencyKey?: string | null | undefined;
  /** The outdial that gets it. */
  outdialId: string | number;
  /** The target. */
  target: TargetInput;
};

/** An address that can be called or written to. */
export type DestinationInput = {
  /** Notes on it, at most 4,096 characters. */
  detail?: string;
  /** The owner's name for it, at most 255 characters. */
  name?: string;
  /** The address itself; it is kept in its type's canonical form. */
  target: string;
  /** Whose address it is, at most 255 characters. */
  targetName?: string;
  /** What kind of address it is. */
  type?: DestinationType;
};

/** What kind of address a destination is; it decides the address's canonical form. */
export type DestinationType =
  /** A human agent, by the owner's name for them. */
  | 'AGENT'
  /** An AI agent, by the owner's name for it. */
  | 'AI'
  /** A team of AI agents, by the owner's name for it. */
  | 'AI_TEAM'
  /** A conference room. */
  | 'CONFERENCE'
  /** A mailbox. Trimmed, its domain in lower case. */
  | 'EMAIL'
  /** An extension of the owner's telephone system. */
  | 'EXTENSION'
  /** An account of the messenger LINE. */
  | 'LINE'
  /** A SIP address. Kept with its scheme, its host in lower case. */
  | 'SIP'
  /** A telephone number, kept as E.164: +14155550100. */
  | 'TEL'
  /** A web chat. */
  | 'WEBCHAT'
  /** A visitor's session on a web site. */
  | 'WEB_SESSION'
  /** A WhatsApp account by its telephone number, kept as E.164. */
  | 'WHATSAPP';

/** How often, how soon and how long targets are tried. A field left out or null stays. */
export type DialPolicyInput = {
  /** Seconds until an attempt that is neither reported nor extended expires, 5 to 86,400. At first 120. */
  leaseSeconds?: number | null | undefined;
  /** Five numbers from 0 to 100, one per destination: how often it may be tried. At first 3 each. */
  maxTryCounts?: Array<number> | null | undefined;
  /** What becomes of a target whose dialer vanished after the call was placed. At first FINISH. */
  onUnconfirmed?: UnconfirmedAction | null | undefined;
  /** Seconds from the end of an unsuccessful attempt until the target can be claimed again, 0 to 2,592,000. At first 300. */
  retryIntervalSeconds?: number | null | undefined;
};

/** How a call ended. ANSWERED and DO_NOT_CALL finish the target, INVALID_DESTINATION rules the destination out for good, the others are retried. */
export type Disposition =
  /** The call was answered; the target is done. */
  | 'ANSWERED'
  /** The line was busy. */
  | 'BUSY'
  /** The dialer hung up before an answer. */
  | 'CANCELED'
  /** The person asked not to be called; the target is done. */
  | 'DO_NOT_CALL'
  /** The call could not be set up. */
  | 'FAILED'
  /** The address does not exist or cannot be called; it is never tried again. */
  | 'INVALID_DESTINATION'
  /** An answering machine took the call. */
  | 'MACHINE'
  /** It rang, and nobody answered. */
  | 'NO_ANSWER'
  /** Nothing was heard of the call in time. */
  | 'TIMEOUT';

/** Why a target is done. */
export type DoneReason =
  /** Somebody answered. */
  | 'ANSWERED'
  /** Finished by the owner. */
  | 'CANCELED'
  /** The person asked not to be called. */
  | 'DO_NOT_CALL'
  /** Every destination was tried as often as the policy allows, or is unusable. */
  | 'EXHAUSTED'
  /** The dialer vanished after placing the call, and the policy says FINISH. */
  | 'UNCONFIRMED';

/** Why events may be missing. */
export type GapReason =
  /** Events after the cursor are no longer kept. */
  | 'CURSOR_EXPIRED'
  /** The cursor is ahead of the log, as after a backup was restored. */
  | 'CURSOR_UNKNOWN';

/** What is wrong with a row of a file. */
export type ImportRejectCode =
  /** Another target has one of its addresses, which dedupe does not allow. */
  | 'DUPLICATE_ADDRESS'
  /** Its key is taken in the outdial. */
  | 'DUPLICATE_KEY'
  /** A value that cannot be accepted. */
  | 'INVALID'
  /** The line cannot be read: its quotes, its JSON, or the number of its cells. */
  | 'MALFORMED'
  /** A spreadsheet turned a telephone number into 4.91512E+11; its last digits are lost. */
  | 'SCIENTIFIC_NOTATION';

/** Where an import stands. */
export type ImportState =
  /** Its owner stopped it; what it took in stays. */
  | 'CANCELED'
  /** The whole file was read; counts and rejects say what became of its rows. */
  | 'COMPLETED'
  /** It ended early; what it took in stays. Sent again with the same idempotency key, it goes on. */
  | 'FAILED'
  /** It waits for its turn. */
  | 'QUEUED'
  /** Its rows are taken in. */
  | 'RUNNING';

/** Why an import ended early. */
export type ImportStopReason =
  /** cancelImport was called. */
  | 'CANCELED'
  /** Sent again with the same idempotency key, the file was another one. */
  | 'CONFLICT'
  /** The outdial was deleted. */
  | 'DELETED'
  /** The file cannot be read on: its encoding, its header, or a line beyond all limits. */
  | 'FILE'
  /** The server failed. */
  | 'INTERNAL'
  /** The sender went away, or the server ended. */
  | 'INTERRUPTED'
  /** The outdial was paused while it went on. Sent again with the same idempotency key, it goes on. */
  | 'PAUSED'
  /** The file is larger than is taken, or inflates to more. */
  | 'TOO_LARGE'
  /** More rows were rejected than max_rejects. */
  | 'TOO_MANY_REJECTS';

/** What happened to an outdial. */
export type OutdialEventType =
  /** The outdial was created. */
  | 'CREATED'
  /** The outdial was deleted. */
  | 'DELETED'
  /** Its owner changed it. */
  | 'UPDATED';

/** Whether an outdial's targets are handed out. */
export type OutdialState =
  /** Its targets can be claimed. */
  | 'ACTIVE'
  /** No new claims; attempts under way may finish. */
  | 'PAUSED';

/** Which done targets of an outdial come back to idle. */
export type ResetTargetsInput = {
  /** Done targets with these reasons. Give this or targetIds, not both. */
  doneReasons?: Array<DoneReason> | null | undefined;
  /** Only count what would be reset. */
  dryRun?: boolean;
  /** The outdial whose targets they are. */
  outdialId: string | number;
  /** These targets where they are done, at most 500. */
  targetIds?: Array<string | number> | null | undefined;
};

/** What a token allows. None implies another. */
export type Scope =
  /** Claim targets and report attempts, as a dialer does. */
  | 'DIAL'
  /** Read outdials, targets, attempts and events. */
  | 'READ'
  /** Create, change and delete outdials and targets. */
  | 'WRITE';

/** What happened to a target, or to many. */
export type TargetEventType =
  /** Its owner finished it. */
  | 'CANCELED'
  /** A dialer leased it. */
  | 'CLAIMED'
  /** The dialer reported how the call ended. */
  | 'COMPLETED'
  /** The target was created. */
  | 'CREATED'
  /** The target was deleted. */
  | 'DELETED'
  /** The dialer placed the call. */
  | 'DIALING'
  /** Nothing usable was left without an attempt ending: the limits were lowered or a destination was cleared. */
  | 'EXHAUSTED'
  /** The lease ran out before the call was placed. */
  | 'EXPIRED'
  /** An import created targets; count says how many, status in which status, and targetId is null. */
  | 'IMPORTED'
  /** The dialer gave it back undialed. */
  | 'RELEASED'
  /** Brought back to idle; where count is above 1, targetId is null. */
  | 'RESET'
  /** The lease ran out after the call was placed. */
  | 'UNCONFIRMED'
  /** Its owner changed it. */
  | 'UPDATED';

/** Which targets. All that are given must hold; null and an empty list leave a field unfiltered. */
export type TargetFilter = {
  /** An address in any of the five destinations, canonical or not. */
  destination?: string | null | undefined;
  /** Done for any of these reasons. */
  doneReasons?: Array<DoneReason> | null | undefined;
  /** The owner's own key, in full. */
  key?: string | null | undefined;
  /** Any of these statuses. */
  statuses?: Array<TargetStatus> | null | undefined;
};

/** A new target. At least one destination must be set. */
export type TargetInput = {
  /** Free text for the owner's use, at most 65,536 characters; never interpreted. */
  data?: string;
  /** The first to be tried. */
  destination0?: DestinationInput | null | undefined;
  /** Tried once destination 0 is used up. */
  destination1?: DestinationInput | null | undefined;
  /** Tried once destinations 0 and 1 are used up. */
  destination2?: DestinationInput | null | undefined;
  /** Tried once destinations 0 to 2 are used up. */
  destination3?: DestinationInput | null | undefined;
  /** Tried once destinations 0 to 3 are used up. */
  destination4?: DestinationInput | null | undefined;
  /** Notes on it, at most 4,096 characters. */
  detail?: string;
  /** The owner's own key for it, unique in its outdial, at most 255 characters. */
  key?: string | null | undefined;
  /** Five numbers from 0 to 100 that stand in for the policy's; the policy holds where it is null. */
  maxTryCounts?: Array<number> | null | undefined;
  /** Who or what it is, at most 255 characters. */
  name?: string;
  /** Not claimable before this; at once where it is null. */
  notBefore?: string | null | undefined;
  /** 0 to 9; targets of higher priority are claimed first. */
  priority?: number;
};

/** Where a target stands. */
export type TargetStatus =
  /** Finished; doneReason says why. */
  | 'DONE'
  /** Waiting to be tried, for the first time or again. */
  | 'IDLE'
  /** An attempt is under way. */
  | 'PROGRESSING';

/** What becomes of a target whose dialer vanished after the call was placed. */
export type UnconfirmedAction =
  /** Done, with the reason UNCONFIRMED; resetTargets brings it back. */
  | 'FINISH'
  /** Back to idle, under the usual limits; the person may be called twice. */
  | 'RETRY';

/** Changes to an outdial: the fields that are given; the rest stays. */
export type UpdateOutdialInput = {
  /** Null detaches it from its campaign, and so does the zero UUID. */
  campaignId?: string | number | null | undefined;
  /** Free text for the owner's use, at most 65,536 characters; not null. */
  data?: string | null | undefined;
  /** What it is for, at most 4,096 characters; not null. */
  detail?: string | null | undefined;
  /** How it is dialed from now on. */
  dialPolicy?: DialPolicyInput | null | undefined;
  /** The outdial to change. */
  id: string | number;
  /** Its name, at most 255 characters; not null. */
  name?: string | null | undefined;
  /** PAUSED stops new claims, ACTIVE allows them again. */
  state?: OutdialState | null | undefined;
};

export type ViewerQueryVariables = Exact<{ [key: string]: never; }>;


export type ViewerQuery = { viewer: { subject: string, scopes: Array<Scope>, expiresAt: string | null } };

export type OutdialFieldsFragment = { id: string, campaignId: string | null, name: string, detail: string, state: OutdialState, tmCreate: string, tmDelete: string | null, dialPolicy: { maxTryCounts: Array<number>, retryIntervalSeconds: number, leaseSeconds: number, onUnconfirmed: UnconfirmedAction }, progress: { total: number, idle: number, progressing: number, done: number, attempts: number, doneByReason: Array<{ reason: DoneReason, count: number }> } };

export type TargetFieldsFragment = { id: string, key: string | null, name: string, status: TargetStatus, doneReason: DoneReason | null, priority: number, nextTryAt: string | null, version: number, tryCount0: number, tryCount1: number, tryCount2: number, tryCount3: number, tryCount4: number, destinations: Array<{ index: number, destination: { type: DestinationType, target: string } }> };

export type OutdialsQueryVariables = Exact<{
  after?: string | null | undefined;
  name?: string | null | undefined;
}>;


export type OutdialsQuery = { outdials: { totalCount: number | null, pageInfo: { hasNextPage: boolean, endCursor: string | null }, nodes: Array<{ id: string, campaignId: string | null, name: string, detail: string, state: OutdialState, tmCreate: string, tmDelete: string | null, dialPolicy: { maxTryCounts: Array<number>, retryIntervalSeconds: number, leaseSeconds: number, onUnconfirmed: UnconfirmedAction }, progress: { total: number, idle: number, progressing: number, done: number, attempts: number, doneByReason: Array<{ reason: DoneReason, count: number }> } }> } };

export type OutdialQueryVariables = Exact<{
  id: string | number;
}>;


export type OutdialQuery = { outdial: { id: string, campaignId: string | null, name: string, detail: string, state: OutdialState, tmCreate: string, tmDelete: string | null, dialPolicy: { maxTryCounts: Array<number>, retryIntervalSeconds: number, leaseSeconds: number, onUnconfirmed: UnconfirmedAction }, progress: { total: number, idle: number, progressing: number, done: number, attempts: number, doneByReason: Array<{ reason: DoneReason, count: number }> } } | null };

export type TargetsQueryVariables = Exact<{
  id: string | number;
  first: number;
  after?: string | null | undefined;
  where?: TargetFilter | null | undefined;
}>;


export type TargetsQuery = { outdial: { eventCursor: string, targets: { totalCount: number | null, pageInfo: { hasNextPage: boolean, endCursor: string | null }, nodes: Array<{ id: string, key: string | null, name: string, status: TargetStatus, doneReason: DoneReason | null, priority: number, nextTryAt: string | null, version: number, tryCount0: number, tryCount1: number, tryCount2: number, tryCount3: number, tryCount4: number, destinations: Array<{ index: number, destination: { type: DestinationType, target: string } }> }> } } | null };

export type TargetQueryVariables = Exact<{
  id: string | number;
  after?: string | null | undefined;
}>;


export type TargetQuery = { target: { detail: string, data: string, maxTryCounts: Array<number> | null, tmCreate: string, tmUpdate: string, tmDelete: string | null, id: string, key: string | null, name: string, status: TargetStatus, doneReason: DoneReason | null, priority: number, nextTryAt: string | null, version: number, tryCount0: number, tryCount1: number, tryCount2: number, tryCount3: number, tryCount4: number, places: Array<{ index: number, tryCount: number, maxTryCount: number, usable: boolean, destination: { type: DestinationType, target: string, targetName: string, name: string, detail: string } }>, attempts: { totalCount: number | null, pageInfo: { hasNextPage: boolean, endCursor: string | null }, nodes: Array<{ id: string, tryNumber: number, destinationIndex: number, state: AttemptState, disposition: Disposition | null, detail: string, dialer: string | null, callId: string | null, claimedAt: string, endedAt: string | null, expiresAt: string | null, destination: { target: string } }> }, destinations: Array<{ index: number, destination: { type: DestinationType, target: string } }> } | null };

export type TargetEventsSubscriptionVariables = Exact<{
  outdialId: string | number;
  after?: string | null | undefined;
}>;


export type TargetEventsSubscription = { targetEvents: { cursor: string, gap: GapReason | null, caughtUp: boolean, events: Array<{ type: TargetEventType, occurredAt: string, targetId: string | null, count: number, status: TargetStatus | null, doneReason: DoneReason | null, tryCounts: Array<number>, nextTryAt: string | null, version: number | null, disposition: Disposition | null }> } };

export type ProgressSubscriptionVariables = Exact<{
  ids: Array<string | number> | string | number;
}>;


export type ProgressSubscription = { outdialProgress: { outdials: Array<{ id: string, campaignId: string | null, name: string, detail: string, state: OutdialState, tmCreate: string, tmDelete: string | null, dialPolicy: { maxTryCounts: Array<number>, retryIntervalSeconds: number, leaseSeconds: number, onUnconfirmed: UnconfirmedAction }, progress: { total: number, idle: number, progressing: number, done: number, attempts: number, doneByReason: Array<{ reason: DoneReason, count: number }> } }> } };

export type OutdialEventsSubscriptionVariables = Exact<{ [key: string]: never; }>;


export type OutdialEventsSubscription = { outdialEvents: { type: OutdialEventType, outdialId: string } };

export type CreateOutdialMutationVariables = Exact<{
  input: CreateOutdialInput;
}>;


export type CreateOutdialMutation = { createOutdial: { outdial: { id: string, campaignId: string | null, name: string, detail: string, state: OutdialState, tmCreate: string, tmDelete: string | null, dialPolicy: { maxTryCounts: Array<number>, retryIntervalSeconds: number, leaseSeconds: number, onUnconfirmed: UnconfirmedAction }, progress: { total: number, idle: number, progressing: number, done: number, attempts: number, doneByReason: Array<{ reason: DoneReason, count: number }> } } | null, userErrors: Array<{ message: string, path: Array<string> }> } };

export type UpdateOutdialMutationVariables = Exact<{
  input: UpdateOutdialInput;
}>;


export type UpdateOutdialMutation = { updateOutdial: { outdial: { id: string, campaignId: string | null, name: string, detail: string, state: OutdialState, tmCreate: string, tmDelete: string | null, dialPolicy: { maxTryCounts: Array<number>, retryIntervalSeconds: number, leaseSeconds: number, onUnconfirmed: UnconfirmedAction }, progress: { total: number, idle: number, progressing: number, done: number, attempts: number, doneByReason: Array<{ reason: DoneReason, count: number }> } } | null, userErrors: Array<{ message: string, path: Array<string> }> } };

export type DeleteOutdialMutationVariables = Exact<{
  id: string | number;
}>;


export type DeleteOutdialMutation = { deleteOutdial: { userErrors: Array<{ message: string, path: Array<string> }> } };

export type CreateTargetMutationVariables = Exact<{
  input: CreateTargetInput;
}>;


export type CreateTargetMutation = { createTarget: { target: { id: string } | null, userErrors: Array<{ message: string, path: Array<string> }> } };

export type CancelTargetMutationVariables = Exact<{
  id: string | number;
}>;


export type CancelTargetMutation = { cancelTarget: { userErrors: Array<{ message: string, path: Array<string> }> } };

export type DeleteTargetMutationVariables = Exact<{
  id: string | number;
}>;


export type DeleteTargetMutation = { deleteTarget: { userErrors: Array<{ message: string, path: Array<string> }> } };

export type ResetTargetsMutationVariables = Exact<{
  input: ResetTargetsInput;
}>;


export type ResetTargetsMutation = { resetTargets: { count: number, remaining: number, userErrors: Array<{ message: string, path: Array<string> }> } };

export type JobFieldsFragment = { id: string, fileName: string, state: ImportState, stopReason: ImportStopReason | null, message: string, dryRun: boolean, warnings: Array<string>, counts: { read: number, created: number, updated: number, skipped: number, rejected: number } };

export type ImportByKeyQueryVariables = Exact<{
  id: string | number;
  key: string;
}>;


export type ImportByKeyQuery = { outdial: { imports: { nodes: Array<{ id: string, fileName: string, state: ImportState, stopReason: ImportStopReason | null, message: string, dryRun: boolean, warnings: Array<string>, counts: { read: number, created: number, updated: number, skipped: number, rejected: number } }> } } | null };

export type ImportProgressSubscriptionVariables = Exact<{
  id: string | number;
}>;


export type ImportProgressSubscription = { importProgress: { id: string, fileName: string, state: ImportState, stopReason: ImportStopReason | null, message: string, dryRun: boolean, warnings: Array<string>, counts: { read: number, created: number, updated: number, skipped: number, rejected: number } } };

export type CancelImportMutationVariables = Exact<{
  id: string | number;
}>;


export type CancelImportMutation = { cancelImport: { userErrors: Array<{ message: string, path: Array<string> }> } };

export type RejectsQueryVariables = Exact<{
  id: string | number;
  after?: string | null | undefined;
}>;


export type RejectsQuery = { importJob: { rejects: { pageInfo: { hasNextPage: boolean, endCursor: string | null }, nodes: Array<{ lineNumber: number, column: string | null, code: ImportRejectCode, message: string, row: string }> } } | null };

export class TypedDocumentString<TResult, TVariables>
  extends String
  implements DocumentTypeDecoration<TResult, TVariables>
{
  __apiType?: NonNullable<DocumentTypeDecoration<TResult, TVariables>['__apiType']>;
  private value: string;
  public __meta__?: Record<string, any> | undefined;

  constructor(value: string, __meta__?: Record<string, any> | undefined) {
    super(value);
    this.value = value;
    this.__meta__ = __meta__;
  }

  override toString(): string & DocumentTypeDecoration<TResult, TVariables> {
    return this.value;
  }
}
export const OutdialFieldsFragmentDoc = new TypedDocumentString(`
    fragment OutdialFields on Outdial {
  id
  campaignId
  name
  detail
  state
  tmCreate
  tmDelete
  dialPolicy {
    maxTryCounts
    retryIntervalSeconds
    leaseSeconds
    onUnconfirmed
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
    `, {"fragmentName":"OutdialFields"}) as unknown as TypedDocumentString<OutdialFieldsFragment, unknown>;
export const TargetFieldsFragmentDoc = new TypedDocumentString(`
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
    `, {"fragmentName":"TargetFields"}) as unknown as TypedDocumentString<TargetFieldsFragment, unknown>;
export const JobFieldsFragmentDoc = new TypedDocumentString(`
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
  }
}
    `, {"fragmentName":"JobFields"}) as unknown as TypedDocumentString<JobFieldsFragment, unknown>;
export const ViewerDocument = new TypedDocumentString(`
    query Viewer {
  viewer {
    subject
    scopes
    expiresAt
  }
}
    `) as unknown as TypedDocumentString<ViewerQuery, ViewerQueryVariables>;
export const OutdialsDocument = new TypedDocumentString(`
    query Outdials($after: String, $name: String) {
  outdials(first: 50, after: $after, where: {nameContains: $name}) {
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
    fragment OutdialFields on Outdial {
  id
  campaignId
  name
  detail
  state
  tmCreate
  tmDelete
  dialPolicy {
    maxTryCounts
    retryIntervalSeconds
    leaseSeconds
    onUnconfirmed
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
}`) as unknown as TypedDocumentString<OutdialsQuery, OutdialsQueryVariables>;
export const OutdialDocument = new TypedDocumentString(`
    query Outdial($id: ID!) {
  outdial(id: $id) {
    ...OutdialFields
  }
}
    fragment OutdialFields on Outdial {
  id
  campaignId
  name
  detail
  state
  tmCreate
  tmDelete
  dialPolicy {
    maxTryCounts
    retryIntervalSeconds
    leaseSeconds
    onUnconfirmed
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
}`) as unknown as TypedDocumentString<OutdialQuery, OutdialQueryVariables>;
export const TargetsDocument = new TypedDocumentString(`
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
}`) as unknown as TypedDocumentString<TargetsQuery, TargetsQueryVariables>;
export const TargetDocument = new TypedDocumentString(`
    query Target($id: ID!, $after: String) {
  target(id: $id) {
    ...TargetFields
    detail
    data
    maxTryCounts
    tmCreate
    tmUpdate
    tmDelete
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
        detail
        dialer
        callId
        claimedAt
        endedAt
        expiresAt
      }
    }
  }
}
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
}`) as unknown as TypedDocumentString<TargetQuery, TargetQueryVariables>;
export const TargetEventsDocument = new TypedDocumentString(`
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
    `) as unknown as TypedDocumentString<TargetEventsSubscription, TargetEventsSubscriptionVariables>;
export const ProgressDocument = new TypedDocumentString(`
    subscription Progress($ids: [ID!]!) {
  outdialProgress(outdialIds: $ids, intervalMs: 500) {
    outdials {
      ...OutdialFields
    }
  }
}
    fragment OutdialFields on Outdial {
  id
  campaignId
  name
  detail
  state
  tmCreate
  tmDelete
  dialPolicy {
    maxTryCounts
    retryIntervalSeconds
    leaseSeconds
    onUnconfirmed
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
}`) as unknown as TypedDocumentString<ProgressSubscription, ProgressSubscriptionVariables>;
export const OutdialEventsDocument = new TypedDocumentString(`
    subscription OutdialEvents {
  outdialEvents {
    type
    outdialId
  }
}
    `) as unknown as TypedDocumentString<OutdialEventsSubscription, OutdialEventsSubscriptionVariables>;
export const CreateOutdialDocument = new TypedDocumentString(`
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
    fragment OutdialFields on Outdial {
  id
  campaignId
  name
  detail
  state
  tmCreate
  tmDelete
  dialPolicy {
    maxTryCounts
    retryIntervalSeconds
    leaseSeconds
    onUnconfirmed
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
}`) as unknown as TypedDocumentString<CreateOutdialMutation, CreateOutdialMutationVariables>;
export const UpdateOutdialDocument = new TypedDocumentString(`
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
    fragment OutdialFields on Outdial {
  id
  campaignId
  name
  detail
  state
  tmCreate
  tmDelete
  dialPolicy {
    maxTryCounts
    retryIntervalSeconds
    leaseSeconds
    onUnconfirmed
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
}`) as unknown as TypedDocumentString<UpdateOutdialMutation, UpdateOutdialMutationVariables>;
export const DeleteOutdialDocument = new TypedDocumentString(`
    mutation DeleteOutdial($id: ID!) {
  deleteOutdial(id: $id) {
    userErrors {
      message
      path
    }
  }
}
    `) as unknown as TypedDocumentString<DeleteOutdialMutation, DeleteOutdialMutationVariables>;
export const CreateTargetDocument = new TypedDocumentString(`
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
    `) as unknown as TypedDocumentString<CreateTargetMutation, CreateTargetMutationVariables>;
export const CancelTargetDocument = new TypedDocumentString(`
    mutation CancelTarget($id: ID!) {
  cancelTarget(id: $id) {
    userErrors {
      message
      path
    }
  }
}
    `) as unknown as TypedDocumentString<CancelTargetMutation, CancelTargetMutationVariables>;
export const DeleteTargetDocument = new TypedDocumentString(`
    mutation DeleteTarget($id: ID!) {
  deleteTarget(id: $id) {
    userErrors {
      message
      path
    }
  }
}
    `) as unknown as TypedDocumentString<DeleteTargetMutation, DeleteTargetMutationVariables>;
export const ResetTargetsDocument = new TypedDocumentString(`
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
    `) as unknown as TypedDocumentString<ResetTargetsMutation, ResetTargetsMutationVariables>;
export const ImportByKeyDocument = new TypedDocumentString(`
    query ImportByKey($id: ID!, $key: String!) {
  outdial(id: $id) {
    imports(first: 1, where: {idempotencyKey: $key}) {
      nodes {
        ...JobFields
      }
    }
  }
}
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
  }
}`) as unknown as TypedDocumentString<ImportByKeyQuery, ImportByKeyQueryVariables>;
export const ImportProgressDocument = new TypedDocumentString(`
    subscription ImportProgress($id: ID!) {
  importProgress(id: $id) {
    ...JobFields
  }
}
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
  }
}`) as unknown as TypedDocumentString<ImportProgressSubscription, ImportProgressSubscriptionVariables>;
export const CancelImportDocument = new TypedDocumentString(`
    mutation CancelImport($id: ID!) {
  cancelImport(id: $id) {
    userErrors {
      message
      path
    }
  }
}
    `) as unknown as TypedDocumentString<CancelImportMutation, CancelImportMutationVariables>;
export const RejectsDocument = new TypedDocumentString(`
    query Rejects($id: ID!, $after: String) {
  importJob(id: $id) {
    rejects(first: 100, after: $after) {
      pageInfo {
        hasNextPage
        endCursor
      }
      nodes {
        lineNumber
        column
        code
        message
        row
      }
    }
  }
}
    `) as unknown as TypedDocumentString<RejectsQuery, RejectsQueryVariables>;