/* eslint-disable */
/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
import type { DocumentTypeDecoration } from '@graphql-typed-document-node/core';
/** Addresses for the do-not-call list. */
export type AddSuppressionsInput = {
  /** The addresses, 1 to 1,000. One that is on the list already gets the new reason and expiry, but not if its source is CALLEE: that one stays as it is until it is removed. If an address is given twice, the longer expiry counts. */
  suppressions: Array<SuppressionInput>;
};

/** The state of an attempt. CLAIMED and DIALING hold the target's lease. All other states are final. */
export type AttemptState =
  /** Leased to a dialer that has not placed the call yet. */
  | 'CLAIMED'
  /** The dialer reported a disposition. */
  | 'COMPLETED'
  /** The dialer reported that it placed the call. */
  | 'DIALING'
  /** The lease expired before the call was placed. Counts as a try. */
  | 'EXPIRED'
  /** The dialer returned the target without dialing. Does not count as a try. */
  | 'RELEASED'
  /** The target or its outdial was canceled, finished or deleted during the attempt. Counts as a try. */
  | 'REVOKED'
  /** The lease expired after the call was placed. The result is not known. */
  | 'UNCONFIRMED';

/** Why something cannot be claimed. */
export type BlockReason =
  /** Too many calls of the outdial failed. until is when one is tried again. */
  | 'BREAKER_OPEN'
  /** A callback is kept for another dialer. until is when anybody may claim it. */
  | 'CALLBACK_OF_ANOTHER'
  /** It was tried as often as the policy's caps allow. until is when they leave a try, or when claims look at it again: at most 60 seconds after a release or a suppression's end has freed it. */
  | 'CAPPED'
  /** The target or its outdial is deleted. */
  | 'DELETED'
  /** The target is DONE. doneReason says why. */
  | 'DONE'
  /** The policy's endsAt has passed. */
  | 'ENDED'
  /** A dialer reported that the address is invalid. */
  | 'INVALID_DESTINATION'
  /** The time of the next try has not come. */
  | 'NOT_DUE'
  /** The policy's startsAt has not come. */
  | 'NOT_STARTED'
  /** The calling hours are closed, or the list is still being sorted by time zones after they were set. */
  | 'OUTSIDE_CALLING_HOURS'
  /** The outdial is called as fast as the policy's pacing allows. */
  | 'PACED'
  /** The outdial is paused. */
  | 'PAUSED'
  /** The target has an attempt in progress. */
  | 'PROGRESSING'
  /** The address is on the do-not-call list. */
  | 'SUPPRESSED'
  /** The destination was tried as often as its limit allows. */
  | 'TRIES_USED_UP'
  /** The time zone of the destination is not known, and the calling hours go by it. */
  | 'UNKNOWN_TIME_ZONE';

/** When an outdial stops by itself because calls fail. */
export type BreakerInput = {
  /** It opens if at least this share of the calls failed, in percent, 1 to 100. */
  failurePercent: number;
  /** It never opens on fewer calls, 1 to 100,000. */
  minCalls: number;
  /** Seconds until a call is tried again, 1 to 86,400. */
  pauseSeconds: number;
  /** Calls count that ended within so many seconds, 1 to 3,600. */
  windowSeconds: number;
};

/** Whether a breaker lets targets be claimed. */
export type BreakerState =
  /** They can be claimed. */
  | 'CLOSED'
  /** Too many calls failed. None is claimed until the pause is over. */
  | 'OPEN'
  /** The pause is over, and a single call is under way that shows whether calls fail still. */
  | 'PROBING';

/** The most tries within any time of a given length. */
export type CallCapInput = {
  /** On which lists they are counted. */
  over?: CapScope;
  /** Whose tries are counted. */
  per?: CapSubject;
  /** The most tries, 1 to 100. */
  tries: number;
  /** The length of the time in seconds, 1 to 2,592,000. */
  windowSeconds: number;
};

/** The wish to be called at a time. */
export type CallbackInput = {
  /** When to call, at most 366 days ahead. A time in the past means now. */
  at: string;
  /** The index of the destination to call, 0 to 4. If it is left out: in a result that of the attempt, else as without a callback. Another one is called if it is not set or turned out to be invalid. */
  destinationIndex?: number | null | undefined;
  /** The name of the dialer for which it is kept, at most 255 characters. If it is left out, any dialer may claim it. */
  dialer?: string | null | undefined;
  /** What the next dialer has to know, at most 1,000 characters. */
  note?: string;
  /** How long it is kept for this dialer, in seconds, 60 to 86,400. It begins when the dialer can first claim it. */
  windowSeconds?: number;
};

/** A date with windows of its own instead of its weekday's, such as a holiday. */
export type CallingExceptionInput = {
  /** The date. Each date once. */
  date: string;
  /** What it is called, at most 255 characters. */
  name?: string;
  /** When calls are allowed, at most 3. Empty: not on this date. */
  windows?: Array<CallingTimeInput>;
};

/** When targets may be called, in local time. */
export type CallingHoursInput = {
  /** Dates that are not as other days, at most 40. */
  exceptions?: Array<CallingExceptionInput>;
  /** The IANA time zone of the windows, such as Europe/Berlin. If null, that of each destination counts. */
  timeZone?: string | null | undefined;
  /** When calls are allowed, by weekday, at most 28. */
  windows: Array<CallingWindowInput>;
};

/** A part of a day in local time. */
export type CallingTimeInput = {
  /** Its first minute. */
  from: string;
  /** The minute in which it is over. If this is not later than `from`, it is on the next day. */
  to: string;
};

/** A part of one day of each week, in local time. */
export type CallingWindowInput = {
  /** Its first minute. */
  from: string;
  /** The minute in which it is over. If this is not later than `from`, it is on the next day. */
  to: string;
  /** The day on which it begins. */
  weekday: Weekday;
};

/** Which targets of an outdial are canceled. */
export type CancelTargetsInput = {
  /** Only count the targets that would be canceled. */
  dryRun?: boolean;
  /** A key of your choice. A repeated call with the same key and input returns the first answer and changes nothing. If the first call was cut off, the repeated one finishes its work. Use a new key for the targets that remain. */
  idempotencyKey?: string | null | undefined;
  /** The outdial of the targets. */
  outdialId: string | number;
  /** The filter of the list. An empty one means all targets of the outdial. */
  where: TargetFilter;
};

/** On which lists a cap counts tries. */
export type CapScope =
  /** On all outdials of the customer, also on those without caps. */
  | 'CUSTOMER'
  /** On the outdial that has the cap. */
  | 'OUTDIAL';

/** Whose tries a cap counts. */
export type CapSubject =
  /** Those at one address, whatever target has it. TEL and WHATSAPP share their numbers. */
  | 'ADDRESS'
  /** Those of one target, at all its destinations. */
  | 'TARGET';

/** A new outdial. */
export type CreateOutdialInput = {
  /** The campaign that dials it. Null or the zero UUID means none. */
  campaignId?: string | number | null | undefined;
  /** Free text for the owner's use, at most 65,536 characters. Never interpreted. */
  data?: string;
  /** What it is for, at most 4,096 characters. */
  detail?: string;
  /** How it is dialed. Fields that are left out get their default. */
  dialPolicy?: DialPolicyInput | null | undefined;
  /** A key of your choice. A repeated call with the same key and input returns the first answer and creates nothing. */
  idempotencyKey?: string | null | undefined;
  /** Its name, at most 255 characters. */
  name?: string;
  /** The IANA time zone of destinations whose own is not known, such as Europe/Berlin. */
  timeZone?: string | null | undefined;
};

/** A new target and its outdial. */
export type CreateTargetInput = {
  /** A key of your choice. A repeated call with the same key and input returns the first answer and creates nothing. */
  idempotencyKey?: string | null | undefined;
  /** The outdial that gets the target. */
  outdialId: string | number;
  /** The target. */
  target: TargetInput;
};

/** An address that can be called or written to. */
export type DestinationInput = {
  /** Notes, at most 4,096 characters. */
  detail?: string;
  /** The owner's name for it, at most 255 characters. */
  name?: string;
  /** The address. It is stored in the canonical form of its type. */
  target: string;
  /** The name of the person or thing at this address, at most 255 characters. */
  targetName?: string;
  /** The type of the address. */
  type?: DestinationType;
};

/** The type of an address. It decides the canonical form in which the address is stored. */
export type DestinationType =
  /** A human agent, by the owner's name for them. */
  | 'AGENT'
  /** An AI agent, by the owner's name for it. */
  | 'AI'
  /** A team of AI agents, by the owner's name for it. */
  | 'AI_TEAM'
  /** A conference room. */
  | 'CONFERENCE'
  /** An e-mail address. Stored without spaces around it and with its domain in lower case. */
  | 'EMAIL'
  /** An extension of the owner's phone system. */
  | 'EXTENSION'
  /** An account of the LINE messenger. */
  | 'LINE'
  /** A SIP address. Stored with its scheme and with its host in lower case. */
  | 'SIP'
  /** A phone number. Stored in E.164 form: +14155550100. */
  | 'TEL'
  /** A web chat. */
  | 'WEBCHAT'
  /** A visitor's session on a web site. */
  | 'WEB_SESSION'
  /** A WhatsApp account, given by its phone number. Stored in E.164 form. */
  | 'WHATSAPP';

/** How often targets are tried, how long to wait between tries, and how long a lease lasts. Fields that are left out keep their value. Null clears callingHours, pacing, startsAt and endsAt; the others keep their value. */
export type DialPolicyInput = {
  /** When targets may be called. Given as a whole; null means at any time, which is the default. */
  callingHours?: CallingHoursInput | null | undefined;
  /** How often people are called at most, at most 5. An empty list takes all caps away. Default: none. */
  caps?: Array<CallCapInput> | null | undefined;
  /** Nothing is claimed from then on; what waits stays as it is. Later than startsAt. Null means that it does not end, which is the default. */
  endsAt?: string | null | undefined;
  /** Whether a destination whose hours are closed holds up those after it. Default: false. */
  keepOrder?: boolean | null | undefined;
  /** Seconds until an attempt expires if it is neither reported nor extended, 5 to 86,400. Default: 120. */
  leaseSeconds?: number | null | undefined;
  /** Five numbers from 0 to 100, one per destination: the most tries. Default: 3 each. */
  maxTryCounts?: Array<number> | null | undefined;
  /** What happens to a target if its dialer disappears after it placed the call. Default: FINISH. */
  onUnconfirmed?: UnconfirmedAction | null | undefined;
  /** What happens to a destination whose time zone is not known, if the calling hours have none of their own. Default: SKIP. */
  onUnknownTimeZone?: UnknownTimeZoneAction | null | undefined;
  /** How fast it is called at most. Given as a whole; null means as fast as dialers claim, which is the default. */
  pacing?: PacingInput | null | undefined;
  /** Seconds from the end of an unsuccessful attempt until the target can be claimed again, 0 to 2,592,000. Default: 300. */
  retryIntervalSeconds?: number | null | undefined;
  /** What happens after attempts that reached nobody, at most 20: the first rule that matches decides. If there is none, the other fields decide. An empty list takes all rules away. Default: none. */
  retryRules?: Array<RetryRuleInput> | null | undefined;
  /** Nothing is claimed before. Null means that it has started, which is the default. */
  startsAt?: string | null | undefined;
};

/** The result of a call. ANSWERED and DO_NOT_CALL finish the target. INVALID_DESTINATION excludes the destination permanently. All other results lead to another try. */
export type Disposition =
  /** The call was answered. The target becomes DONE. */
  | 'ANSWERED'
  /** The line was busy. */
  | 'BUSY'
  /** The person asked to be called at another time, which the result's callback has. */
  | 'CALLBACK'
  /** The dialer hung up before an answer. */
  | 'CANCELED'
  /** The person asked not to be called. The target becomes DONE. */
  | 'DO_NOT_CALL'
  /** The call could not be set up. */
  | 'FAILED'
  /** The address does not exist or cannot be called. It is never tried again. */
  | 'INVALID_DESTINATION'
  /** An answering machine took the call. */
  | 'MACHINE'
  /** The phone rang, and nobody answered. */
  | 'NO_ANSWER'
  /** No result of the call arrived in time. */
  | 'TIMEOUT';

/** Why a target is done. */
export type DoneReason =
  /** Somebody answered. */
  | 'ANSWERED'
  /** The owner canceled the target. */
  | 'CANCELED'
  /** The person asked not to be called, or all addresses that are left are on the do-not-call list. */
  | 'DO_NOT_CALL'
  /** Every destination has reached its try limit or is not usable. */
  | 'EXHAUSTED'
  /** A retry rule of the policy finished it. */
  | 'FINISHED'
  /** The dialer disappeared after it placed the call, and onUnconfirmed is FINISH. */
  | 'UNCONFIRMED';

/** Why events may be missing. */
export type GapReason =
  /** Events after the cursor have been removed by retention. */
  | 'CURSOR_EXPIRED'
  /** The cursor is ahead of the log, for example after a backup was restored. */
  | 'CURSOR_UNKNOWN';

/** The state of an import. */
export type ImportState =
  /** The owner stopped the import. Stored rows stay. */
  | 'CANCELED'
  /** The whole file was read. See counts and rejects for the result of each row. */
  | 'COMPLETED'
  /** The import ended early. Stored rows stay. Send the file again with the same idempotency key to continue. */
  | 'FAILED'
  /** The import waits for its turn. */
  | 'QUEUED'
  /** The import reads and stores rows. */
  | 'RUNNING';

/** Why an import ended early. */
export type ImportStopReason =
  /** cancelImport was called. */
  | 'CANCELED'
  /** The file sent again with the same idempotency key is a different file. */
  | 'CONFLICT'
  /** The outdial was deleted. */
  | 'DELETED'
  /** The file cannot be read: its encoding or header is wrong, or a line is too long. */
  | 'FILE'
  /** The server failed. The log has the error. */
  | 'INTERNAL'
  /** The sender disconnected, or the server stopped. */
  | 'INTERRUPTED'
  /** The outdial was paused during the import. Send the file again with the same idempotency key to continue. */
  | 'PAUSED'
  /** The file, or what it decompresses to, is too large. */
  | 'TOO_LARGE'
  /** More rows were rejected than max_rejects allows. */
  | 'TOO_MANY_REJECTS';

/** What happened to an outdial. */
export type OutdialEventType =
  /** Its targets can be claimed again, after a call that did not fail, or by closeBreaker. */
  | 'BREAKER_CLOSED'
  /** Too many calls failed: its targets are not claimed for a while. */
  | 'BREAKER_OPENED'
  /** The outdial was created. */
  | 'CREATED'
  /** The outdial was deleted. */
  | 'DELETED'
  /** The owner changed the outdial. */
  | 'UPDATED';

/** Selects outdials. All given conditions must match. Null or an empty list means no condition. */
export type OutdialFilter = {
  /** The campaign that dials it. */
  campaignId?: string | number | null | undefined;
  /** A part of the name, in upper or lower case. */
  nameContains?: string | null | undefined;
  /** Any of these states. */
  states?: Array<OutdialState> | null | undefined;
};

/** Whether dialers can claim an outdial's targets. */
export type OutdialState =
  /** Its targets can be claimed. */
  | 'ACTIVE'
  /** No new claims. Attempts in progress can finish. */
  | 'PAUSED';

/** How fast an outdial is called at most, by all dialers together. */
export type PacingInput = {
  /** When it stops by itself. Null: never. */
  breaker?: BreakerInput | null | undefined;
  /** The most targets that are claimed within any second, 0.001 to 10,000. Of a fraction above 1 the whole number counts; 0.2 means one in five seconds. Null: no limit. */
  claimsPerSecond?: number | null | undefined;
  /** The most attempts that are in progress at any time, 1 to 100,000. Null: no limit. */
  maxOpenAttempts?: number | null | undefined;
};

/** Which suppressions to remove. Give either ids or addresses. */
export type RemoveSuppressionsInput = {
  /** By address, at most 1,000. */
  addresses?: Array<SuppressedAddressInput> | null | undefined;
  /** By id, at most 1,000. */
  ids?: Array<string | number> | null | undefined;
};

/** Which DONE targets of an outdial return to IDLE, and when they are due. */
export type ResetTargetsInput = {
  /** Targets that are DONE for these reasons. Give one of this, targetIds and where. */
  doneReasons?: Array<DoneReason> | null | undefined;
  /** Only count the targets that would be reset. */
  dryRun?: boolean;
  /** A key of your choice. A repeated call with the same key and input returns the first answer and changes nothing. If the first call was cut off, the repeated one finishes its work. Use a new key for the targets that remain. */
  idempotencyKey?: string | null | undefined;
  /** The earliest time of the next claim. If null, the targets are due at once. */
  notBefore?: string | null | undefined;
  /** The outdial of the targets. */
  outdialId: string | number;
  /** These targets if they are DONE, at most 500. */
  targetIds?: Array<string | number> | null | undefined;
  /** The targets that match and are DONE: by the filter of the list. Those that are DONE with DO_NOT_CALL match only if its doneReasons name that reason. */
  where?: TargetFilter | null | undefined;
};

/** A result code as it should be. */
export type ResultCodeInput = {
  /** The code, 1 to 64 visible characters, without spaces around it. Upper and lower case differ. */
  code: string;
  /** The disposition with which it is reported. */
  disposition: Disposition;
  /** Whether such a call was a success. */
  isConversion?: boolean;
  /** Whether it is refused in new results. */
  isRetired?: boolean;
  /** Whether such a call reached the person who was wanted. */
  isRightParty?: boolean;
  /** The code in words, 1 to 255 characters. */
  label: string;
};

/** What a retry rule does with a target. */
export type RetryAction =
  /** It becomes DONE with the reason FINISHED. */
  | 'FINISH'
  /** The next claim begins at the destination after the one that was tried; after the last one comes the first. */
  | 'NEXT_DESTINATION'
  /** It is tried again after the wait, at its first destination that is usable. */
  | 'RETRY';

/** What happens after an attempt that reached nobody. An attempt matches a rule if it matches each of its lists; an empty list matches all. */
export type RetryRuleInput = {
  /** What happens to the target. */
  action: RetryAction;
  /** The owner's own result, at most 50 codes. An attempt without one matches only an empty list. */
  codes?: Array<string>;
  /** The index of the destination that was tried, 0 to 4. */
  destinations?: Array<number>;
  /** The reported result: any but ANSWERED and DO_NOT_CALL. An attempt without one matches only an empty list. */
  dispositions?: Array<Disposition>;
  /** The rule counts from the nth matching attempt on since the target was created or last reset, 1 to 500. */
  fromNth?: number;
  /** The wait is made longer by chance, by at most this share of it in percent, 0 to 100. */
  jitterPercent?: number;
  /** How the attempt ended: COMPLETED, EXPIRED or UNCONFIRMED. */
  states?: Array<AttemptState>;
  /** Seconds from the end of the attempt until the target can be claimed again, 0 to 2,592,000. Null: for RETRY as long as without the rule, for NEXT_DESTINATION none if that is another one. FINISH has no wait. */
  waitSeconds?: number | null | undefined;
};

/** A target and the wish to be called at a time. */
export type ScheduleCallbackInput = {
  /** The wish. It replaces an earlier one of the target. */
  callback: CallbackInput;
  /** The target. */
  targetId: string | number;
};

/** All result codes of the customer. */
export type SetResultCodesInput = {
  /** The codes in the order in which people choose from them, at most 200. Those that are left out are retired. */
  codes: Array<ResultCodeInput>;
  /** A key of your choice. A repeated call with the same key changes nothing, even if the codes have changed since. */
  idempotencyKey?: string | null | undefined;
};

/** An address on the do-not-call list. */
export type SuppressedAddressInput = {
  /** The address, in any spelling. */
  target: string;
  /** The type of the address. */
  type?: DestinationType;
};

/** Selects suppressions. All given conditions must match. Null or an empty list means no condition. */
export type SuppressionFilter = {
  /** True: those with expiresAt, also if it is past. False: those that never expire. */
  expires?: boolean | null | undefined;
  /** Any of these sources. */
  sources?: Array<SuppressionSource> | null | undefined;
  /** The address, in any spelling. Without a type it is read as a number, or as an e-mail or SIP address if it looks like one. If it cannot be read, the error is BAD_USER_INPUT: nobody can say whether it is on the list. */
  target?: string | null | undefined;
  /** The type of target. TEL and WHATSAPP share their numbers. */
  type?: DestinationType | null | undefined;
};

/** An address that must not be called. */
export type SuppressionInput = {
  /** When it stops to count by itself, in the future. If null, it never does. */
  expiresAt?: string | null | undefined;
  /** Why, for people, at most 255 characters. */
  reason?: string;
  /** The address, however it is written. */
  target: string;
  /** The type of the address. */
  type?: DestinationType;
};

/** How an address came to the do-not-call list. */
export type SuppressionSource =
  /** A dialer reported DO_NOT_CALL: the person asked not to be called. */
  | 'CALLEE'
  /** It was in an imported file. */
  | 'IMPORT'
  /** addSuppressions was called. */
  | 'OWNER';

/** What happened to one target or to many targets. */
export type TargetEventType =
  /** A callback was scheduled or canceled by the owner. A dialer's wish comes with COMPLETED. */
  | 'CALLBACK'
  /** The owner canceled the target. */
  | 'CANCELED'
  /** A dialer claimed the target. */
  | 'CLAIMED'
  /** The dialer reported the result of the call. */
  | 'COMPLETED'
  /** The target was created. */
  | 'CREATED'
  /** The target was deleted. */
  | 'DELETED'
  /** The dialer placed the call. */
  | 'DIALING'
  /** No usable destination was left because a limit was lowered or a destination was cleared. */
  | 'EXHAUSTED'
  /** The lease expired before the call was placed. */
  | 'EXPIRED'
  /** An import created targets. count is their number, status is their status, and targetId is null. */
  | 'IMPORTED'
  /** The dialer returned the target without dialing. */
  | 'RELEASED'
  /** The target returned to IDLE. If count is above 1, targetId is null. */
  | 'RESET'
  /** An address was added to the do-not-call list: the attempt on it was revoked, or the target is finished because it has no other destination left. */
  | 'SUPPRESSED'
  /** The lease expired after the call was placed. */
  | 'UNCONFIRMED'
  /** The owner changed the target. */
  | 'UPDATED';

/** Selects targets. All given conditions must match. Null or an empty list means no condition. */
export type TargetFilter = {
  /** An address in any of the five destinations, in any spelling. */
  destination?: string | null | undefined;
  /** Done for any of these reasons. */
  doneReasons?: Array<DoneReason> | null | undefined;
  /** Whether they have a callback. */
  hasCallback?: boolean | null | undefined;
  /** The owner's key, in full. */
  key?: string | null | undefined;
  /** Any of these statuses. */
  statuses?: Array<TargetStatus> | null | undefined;
};

/** A new target. At least one destination must be set. */
export type TargetInput = {
  /** Free text for the owner's use, at most 65,536 characters. Never interpreted. */
  data?: string;
  /** The destination that is tried first. */
  destination0?: DestinationInput | null | undefined;
  /** Tried after destination 0 is used up. */
  destination1?: DestinationInput | null | undefined;
  /** Tried after destinations 0 and 1 are used up. */
  destination2?: DestinationInput | null | undefined;
  /** Tried after destinations 0 to 2 are used up. */
  destination3?: DestinationInput | null | undefined;
  /** Tried after destinations 0 to 3 are used up. */
  destination4?: DestinationInput | null | undefined;
  /** Notes, at most 4,096 characters. */
  detail?: string;
  /** The owner's key for the target, unique in its outdial, at most 255 characters. */
  key?: string | null | undefined;
  /** Five numbers from 0 to 100 that replace the policy's maxTryCounts. If null, the policy applies. */
  maxTryCounts?: Array<number> | null | undefined;
  /** The name of the person or place, at most 255 characters. */
  name?: string;
  /** The earliest time of the first claim. If null, the target is due at once. */
  notBefore?: string | null | undefined;
  /** 0 to 9. Targets with a higher priority are claimed first. */
  priority?: number;
  /** The target's IANA time zone, such as Europe/Berlin. If null, it is taken from each phone number where that is certain. */
  timeZone?: string | null | undefined;
};

/** The status of a target. */
export type TargetStatus =
  /** Finished. doneReason gives the reason. */
  | 'DONE'
  /** Waiting for its first or next try. */
  | 'IDLE'
  /** An attempt is in progress. */
  | 'PROGRESSING';

/** Where the time zone of a destination is known from. */
export type TimeZoneSource =
  /** The target's timeZone. */
  | 'GIVEN'
  /** The outdial's timeZone, because nothing else is known. */
  | 'OUTDIAL_DEFAULT'
  /** The phone number, whose country or area has one time at that moment. */
  | 'PHONE_NUMBER'
  /** The calling hours have a time zone of their own, which counts for every destination. */
  | 'POLICY'
  /** It is not known. */
  | 'UNKNOWN';

/** What happens to a target if its dialer disappears after it placed the call. */
export type UnconfirmedAction =
  /** The target becomes DONE with the reason UNCONFIRMED. Use resetTargets to bring it back. */
  | 'FINISH'
  /** The target returns to IDLE, within its try limits. The person may be called twice. */
  | 'RETRY';

/** What happens to a destination whose time zone is not known, if the calling hours have none of their own. */
export type UnknownTimeZoneAction =
  /** It is not called. */
  | 'SKIP'
  /** The outdial's timeZone counts. If it has none, the destination is not called. */
  | 'USE_OUTDIAL';

/** Changes to an outdial. Fields that are left out keep their value. */
export type UpdateOutdialInput = {
  /** The campaign that dials it. Null or the zero UUID removes the campaign. */
  campaignId?: string | number | null | undefined;
  /** Free text for the owner's use, at most 65,536 characters. Not null. */
  data?: string | null | undefined;
  /** What it is for, at most 4,096 characters. Not null. */
  detail?: string | null | undefined;
  /** How it is dialed from now on. Fields that are left out keep their value. */
  dialPolicy?: DialPolicyInput | null | undefined;
  /** The outdial to change. */
  id: string | number;
  /** Its name, at most 255 characters. Not null. */
  name?: string | null | undefined;
  /** PAUSED stops new claims, ACTIVE allows them again. */
  state?: OutdialState | null | undefined;
  /** The IANA time zone of destinations whose own is not known, such as Europe/Berlin. Null clears it. */
  timeZone?: string | null | undefined;
};

/** Changes to a target. Fields that are left out keep their value. */
export type UpdateTargetInput = {
  /** Free text for the owner's use. Not null. */
  data?: string | null | undefined;
  /** The destination that is tried first. Null clears it; its try count stays. */
  destination0?: DestinationInput | null | undefined;
  /** Tried after destination 0 is used up. Null clears it; its try count stays. */
  destination1?: DestinationInput | null | undefined;
  /** Tried after destinations 0 and 1 are used up. Null clears it; its try count stays. */
  destination2?: DestinationInput | null | undefined;
  /** Tried after destinations 0 to 2 are used up. Null clears it; its try count stays. */
  destination3?: DestinationInput | null | undefined;
  /** Tried after destinations 0 to 3 are used up. Null clears it; its try count stays. */
  destination4?: DestinationInput | null | undefined;
  /** Notes. Not null. */
  detail?: string | null | undefined;
  /** The target to change. */
  id: string | number;
  /** Change the target only if it still has this version. Otherwise the user error is CONFLICT. */
  ifVersion?: number | null | undefined;
  /** Five numbers that replace the policy's maxTryCounts. If null, the policy applies again. */
  maxTryCounts?: Array<number> | null | undefined;
  /** The name of the person or place. Not null. */
  name?: string | null | undefined;
  /** The earliest time of the next claim of an IDLE target. If null, the target is due at once. */
  notBefore?: string | null | undefined;
  /** 0 to 9. Targets with a higher priority are claimed first. Not null. */
  priority?: number | null | undefined;
  /** The target's IANA time zone, such as Europe/Berlin. If null, it is taken from each phone number where that is certain. */
  timeZone?: string | null | undefined;
};

/** Changes to all targets of an outdial that match. Fields that are left out keep their value. Give at least one of priority, maxTryCounts, notBefore and timeZone. */
export type UpdateTargetsInput = {
  /** Only count the targets that would change. */
  dryRun?: boolean;
  /** A key of your choice. A repeated call with the same key and input returns the first answer and changes nothing. If the first call was cut off, the repeated one finishes its work. Use a new key for the targets that remain. */
  idempotencyKey?: string | null | undefined;
  /** Five numbers that replace the policy's maxTryCounts. If null, the policy applies again. IDLE targets that have no try left become DONE with EXHAUSTED. */
  maxTryCounts?: Array<number> | null | undefined;
  /** The earliest time of the next claim of IDLE targets. If null, they are due at once. */
  notBefore?: string | null | undefined;
  /** The outdial of the targets. */
  outdialId: string | number;
  /** 0 to 9. Targets with a higher priority are claimed first. Not null. */
  priority?: number | null | undefined;
  /** The targets' IANA time zone, such as Europe/Berlin. If null, it is taken from each phone number where that is certain. */
  timeZone?: string | null | undefined;
  /** The filter of the list. An empty one means all targets of the outdial. */
  where: TargetFilter;
};

/** A day of the week. */
export type Weekday =
  /** Friday. */
  | 'FRIDAY'
  /** Monday. */
  | 'MONDAY'
  /** Saturday. */
  | 'SATURDAY'
  /** Sunday. */
  | 'SUNDAY'
  /** Thursday. */
  | 'THURSDAY'
  /** Tuesday. */
  | 'TUESDAY'
  /** Wednesday. */
  | 'WEDNESDAY';

export type OutdialFieldsFragment = { id: string, campaignId: string | null, name: string, detail: string, timeZone: string | null, state: OutdialState, tmCreate: string, tmDelete: string | null, dialPolicy: { maxTryCounts: Array<number>, retryIntervalSeconds: number, leaseSeconds: number, onUnconfirmed: UnconfirmedAction, onUnknownTimeZone: UnknownTimeZoneAction, keepOrder: boolean, version: number }, progress: { total: number, idle: number, progressing: number, done: number, attempts: number, doneByReason: Array<{ reason: DoneReason, count: number }> } };

export type TargetFieldsFragment = { id: string, key: string | null, name: string, status: TargetStatus, doneReason: DoneReason | null, priority: number, nextTryAt: string | null, version: number, tryCount0: number, tryCount1: number, tryCount2: number, tryCount3: number, tryCount4: number, destinations: Array<{ index: number, destination: { type: DestinationType, target: string } }> };

export type OutdialsQueryVariables = Exact<{
  after?: string | null | undefined;
  where?: OutdialFilter | null | undefined;
}>;


export type OutdialsQuery = { outdials: { totalCount: number | null, pageInfo: { hasNextPage: boolean, endCursor: string | null }, nodes: Array<{ id: string, campaignId: string | null, name: string, detail: string, timeZone: string | null, state: OutdialState, tmCreate: string, tmDelete: string | null, dialPolicy: { maxTryCounts: Array<number>, retryIntervalSeconds: number, leaseSeconds: number, onUnconfirmed: UnconfirmedAction, onUnknownTimeZone: UnknownTimeZoneAction, keepOrder: boolean, version: number }, progress: { total: number, idle: number, progressing: number, done: number, attempts: number, doneByReason: Array<{ reason: DoneReason, count: number }> } }> } };

export type AllTodayQueryVariables = Exact<{
  from: string;
  to: string;
  hour: string;
  hourEnd: string;
  before: string;
  beforeEnd: string;
  timeZone: string;
  campaignId?: string | number | null | undefined;
}>;


export type AllTodayQuery = { day: { total: { attempts: number, answered: number } }, hour: { total: { attempts: number, answered: number } }, before: { total: { attempts: number, answered: number } } };

export type CallsNowQueryVariables = Exact<{
  after?: string | null | undefined;
  campaignId?: string | number | null | undefined;
}>;


export type CallsNowQuery = { outdials: { pageInfo: { hasNextPage: boolean, endCursor: string | null }, nodes: Array<{ progress: { progressing: number } }> } };

export type NextClaimsQueryVariables = Exact<{
  ids: Array<string | number> | string | number;
}>;


export type NextClaimsQuery = { nodes: Array<
    | { id: string, nextClaimAt: string | null }
    | Record<PropertyKey, never>
   | null> };

export type OutdialQueryVariables = Exact<{
  id: string | number;
}>;


export type OutdialQuery = { outdial: { id: string, campaignId: string | null, name: string, detail: string, timeZone: string | null, state: OutdialState, tmCreate: string, tmDelete: string | null, dialPolicy: { maxTryCounts: Array<number>, retryIntervalSeconds: number, leaseSeconds: number, onUnconfirmed: UnconfirmedAction, onUnknownTimeZone: UnknownTimeZoneAction, keepOrder: boolean, version: number }, progress: { total: number, idle: number, progressing: number, done: number, attempts: number, doneByReason: Array<{ reason: DoneReason, count: number }> } } | null };

export type PolicyQueryVariables = Exact<{
  id: string | number;
}>;


export type PolicyQuery = { outdial: { id: string, timeZone: string | null, dialPolicy: { maxTryCounts: Array<number>, retryIntervalSeconds: number, leaseSeconds: number, onUnconfirmed: UnconfirmedAction, onUnknownTimeZone: UnknownTimeZoneAction, keepOrder: boolean, startsAt: string | null, endsAt: string | null, caps: Array<{ tries: number, windowSeconds: number, per: CapSubject, over: CapScope }>, callingHours: { timeZone: string | null, windows: Array<{ weekday: Weekday, from: string, to: string }>, exceptions: Array<{ date: string, name: string, windows: Array<{ from: string, to: string }> }> } | null, retryRules: Array<{ states: Array<AttemptState>, dispositions: Array<Disposition>, codes: Array<string>, destinations: Array<number>, fromNth: number, action: RetryAction, waitSeconds: number | null, jitterPercent: number }>, pacing: { maxOpenAttempts: number | null, claimsPerSecond: number | null, breaker: { failurePercent: number, windowSeconds: number, minCalls: number, pauseSeconds: number } | null } | null } } | null };

export type DayQueryVariables = Exact<{
  id: string | number;
  from: string;
  to: string;
  since: string;
  timeZone: string;
}>;


export type DayQuery = { outdial: { id: string, today: { total: { attempts: number, answered: number, reachedTargets: number, conversions: number }, rows: Array<{ from: string, figures: { attempts: number, answered: number } }> }, before: { rows: Array<{ hour: number | null, figures: { attempts: number, answered: number } }> } } | null };

export type CallingNowQueryVariables = Exact<{
  id: string | number;
}>;


export type CallingNowQuery = { outdial: { id: string, attempts: { totalCount: number | null, nodes: Array<{ id: string, state: AttemptState, dialer: string | null, claimedAt: string, destination: { target: string }, target: { id: string } }> } } | null };

export type StandingQueryVariables = Exact<{
  id: string | number;
}>;


export type StandingQuery = { outdial: { id: string, nextClaimAt: string | null, blockedBy: Array<{ reason: BlockReason, detail: string, until: string | null }>, progress: { progressing: number }, newest: { nodes: Array<{ claimedAt: string }> }, breaker: { state: BreakerState, openedAt: string | null, pausedUntil: string | null, calls: number, failures: number }, dialPolicy: { pacing: { maxOpenAttempts: number | null, claimsPerSecond: number | null, breaker: { failurePercent: number, windowSeconds: number, minCalls: number, pauseSeconds: number } | null } | null } } | null };

export type CloseBreakerMutationVariables = Exact<{
  id: string | number;
}>;


export type CloseBreakerMutation = { closeBreaker: { userErrors: Array<{ message: string, path: Array<string> }> } };

export type TargetsQueryVariables = Exact<{
  id: string | number;
  first: number;
  after?: string | null | undefined;
  where?: TargetFilter | null | undefined;
}>;


export type TargetsQuery = { outdial: { eventCursor: string, targets: { totalCount: number | null, pageInfo: { hasNextPage: boolean, endCursor: string | null }, nodes: Array<{ id: string, key: string | null, name: string, status: TargetStatus, doneReason: DoneReason | null, priority: number, nextTryAt: string | null, version: number, tryCount0: number, tryCount1: number, tryCount2: number, tryCount3: number, tryCount4: number, destinations: Array<{ index: number, destination: { type: DestinationType, target: string } }> }> } } | null };

export type CallbackFieldsFragment = { at: string, destinationIndex: number | null, dialer: string | null, windowSeconds: number, note: string, openedAt: string | null };

export type CallbacksQueryVariables = Exact<{
  id: string | number;
  after?: string | null | undefined;
}>;


export type CallbacksQuery = { outdial: { targets: { totalCount: number | null, pageInfo: { hasNextPage: boolean, endCursor: string | null }, nodes: Array<{ id: string, key: string | null, name: string, status: TargetStatus, callback: { at: string, destinationIndex: number | null, dialer: string | null, windowSeconds: number, note: string, openedAt: string | null } | null, destinations: Array<{ index: number, destination: { target: string } }> }> } } | null };

export type ScheduleCallbackMutationVariables = Exact<{
  input: ScheduleCallbackInput;
}>;


export type ScheduleCallbackMutation = { scheduleCallback: { userErrors: Array<{ message: string, path: Array<string> }> } };

export type CancelCallbackMutationVariables = Exact<{
  id: string | number;
}>;


export type CancelCallbackMutation = { cancelCallback: { userErrors: Array<{ message: string, path: Array<string> }> } };

export type TargetQueryVariables = Exact<{
  id: string | number;
  after?: string | null | undefined;
}>;


export type TargetQuery = { target: { detail: string, data: string, timeZone: string | null, maxTryCounts: Array<number> | null, tmCreate: string, tmUpdate: string, tmDelete: string | null, id: string, key: string | null, name: string, status: TargetStatus, doneReason: DoneReason | null, priority: number, nextTryAt: string | null, version: number, tryCount0: number, tryCount1: number, tryCount2: number, tryCount3: number, tryCount4: number, callback: { at: string, destinationIndex: number | null, dialer: string | null, windowSeconds: number, note: string, openedAt: string | null } | null, places: Array<{ index: number, tryCount: number, maxTryCount: number, usable: boolean, timeZone: string | null, timeZoneSource: TimeZoneSource, destination: { type: DestinationType, target: string, targetName: string, name: string, detail: string }, blockedBy: Array<{ detail: string, until: string | null }> }>, blockedBy: Array<{ reason: BlockReason, detail: string, until: string | null }>, outdial: { id: string, timeZone: string | null, blockedBy: Array<{ reason: BlockReason, detail: string, until: string | null }> }, attempts: { totalCount: number | null, pageInfo: { hasNextPage: boolean, endCursor: string | null }, nodes: Array<{ id: string, tryNumber: number, destinationIndex: number, state: AttemptState, disposition: Disposition | null, code: string | null, detail: string, dialer: string | null, callId: string | null, claimedAt: string, endedAt: string | null, expiresAt: string | null, ringSeconds: number | null, talkSeconds: number | null, destination: { target: string }, permit: { localTime: string | null, timeZone: string | null, timeZoneSource: TimeZoneSource, window: { date: string, from: string, to: string, exception: string | null } | null, caps: Array<{ tries: number, windowSeconds: number, per: CapSubject, over: CapScope, used: number }> } | null }> }, destinations: Array<{ index: number, destination: { type: DestinationType, target: string } }> } | null };

export type TargetEventsSubscriptionVariables = Exact<{
  outdialId: string | number;
  after?: string | null | undefined;
}>;


export type TargetEventsSubscription = { targetEvents: { cursor: string, gap: GapReason | null, caughtUp: boolean, events: Array<{ type: TargetEventType, occurredAt: string, targetId: string | null, count: number, status: TargetStatus | null, doneReason: DoneReason | null, tryCounts: Array<number>, nextTryAt: string | null, version: number | null, disposition: Disposition | null }> } };

export type ProgressSubscriptionVariables = Exact<{
  ids: Array<string | number> | string | number;
}>;


export type ProgressSubscription = { outdialProgress: { outdials: Array<{ id: string, campaignId: string | null, name: string, detail: string, timeZone: string | null, state: OutdialState, tmCreate: string, tmDelete: string | null, dialPolicy: { maxTryCounts: Array<number>, retryIntervalSeconds: number, leaseSeconds: number, onUnconfirmed: UnconfirmedAction, onUnknownTimeZone: UnknownTimeZoneAction, keepOrder: boolean, version: number }, progress: { total: number, idle: number, progressing: number, done: number, attempts: number, doneByReason: Array<{ reason: DoneReason, count: number }> } }> } };

export type OutdialEventsSubscriptionVariables = Exact<{ [key: string]: never; }>;


export type OutdialEventsSubscription = { outdialEvents: { type: OutdialEventType, outdialId: string } };

export type CreateOutdialMutationVariables = Exact<{
  input: CreateOutdialInput;
}>;


export type CreateOutdialMutation = { createOutdial: { outdial: { id: string, campaignId: string | null, name: string, detail: string, timeZone: string | null, state: OutdialState, tmCreate: string, tmDelete: string | null, dialPolicy: { maxTryCounts: Array<number>, retryIntervalSeconds: number, leaseSeconds: number, onUnconfirmed: UnconfirmedAction, onUnknownTimeZone: UnknownTimeZoneAction, keepOrder: boolean, version: number }, progress: { total: number, idle: number, progressing: number, done: number, attempts: number, doneByReason: Array<{ reason: DoneReason, count: number }> } } | null, userErrors: Array<{ message: string, path: Array<string> }> } };

export type UpdateOutdialMutationVariables = Exact<{
  input: UpdateOutdialInput;
}>;


export type UpdateOutdialMutation = { updateOutdial: { outdial: { id: string, campaignId: string | null, name: string, detail: string, timeZone: string | null, state: OutdialState, tmCreate: string, tmDelete: string | null, dialPolicy: { maxTryCounts: Array<number>, retryIntervalSeconds: number, leaseSeconds: number, onUnconfirmed: UnconfirmedAction, onUnknownTimeZone: UnknownTimeZoneAction, keepOrder: boolean, version: number }, progress: { total: number, idle: number, progressing: number, done: number, attempts: number, doneByReason: Array<{ reason: DoneReason, count: number }> } } | null, userErrors: Array<{ message: string, path: Array<string> }> } };

export type DeleteOutdialMutationVariables = Exact<{
  id: string | number;
}>;


export type DeleteOutdialMutation = { deleteOutdial: { userErrors: Array<{ message: string, path: Array<string> }> } };

export type CreateTargetMutationVariables = Exact<{
  input: CreateTargetInput;
}>;


export type CreateTargetMutation = { createTarget: { target: { id: string } | null, userErrors: Array<{ message: string, path: Array<string> }> } };

export type UpdateTargetMutationVariables = Exact<{
  input: UpdateTargetInput;
}>;


export type UpdateTargetMutation = { updateTarget: { userErrors: Array<{ message: string, path: Array<string> }> } };

export type CancelTargetMutationVariables = Exact<{
  id: string | number;
}>;


export type CancelTargetMutation = { cancelTarget: { userErrors: Array<{ message: string, path: Array<string> }> } };

export type DeleteTargetMutationVariables = Exact<{
  id: string | number;
}>;


export type DeleteTargetMutation = { deleteTarget: { userErrors: Array<{ message: string, path: Array<string> }> } };

export type UpdateTargetsMutationVariables = Exact<{
  input: UpdateTargetsInput;
}>;


export type UpdateTargetsMutation = { updateTargets: { count: number, remaining: number, userErrors: Array<{ message: string, path: Array<string> }> } };

export type CancelTargetsMutationVariables = Exact<{
  input: CancelTargetsInput;
}>;


export type CancelTargetsMutation = { cancelTargets: { count: number, remaining: number, userErrors: Array<{ message: string, path: Array<string> }> } };

export type ResetTargetsMutationVariables = Exact<{
  input: ResetTargetsInput;
}>;


export type ResetTargetsMutation = { resetTargets: { count: number, remaining: number, userErrors: Array<{ message: string, path: Array<string> }> } };

export type JobFieldsFragment = { id: string, fileName: string, state: ImportState, stopReason: ImportStopReason | null, message: string, dryRun: boolean, warnings: Array<string>, counts: { read: number, created: number, updated: number, skipped: number, rejected: number, suppressed: number } };

export type ImportByKeyQueryVariables = Exact<{
  id: string | number;
  key: string;
}>;


export type ImportByKeyQuery = { outdial: { imports: { nodes: Array<{ id: string, fileName: string, state: ImportState, stopReason: ImportStopReason | null, message: string, dryRun: boolean, warnings: Array<string>, counts: { read: number, created: number, updated: number, skipped: number, rejected: number, suppressed: number } }> } } | null };

export type ImportProgressSubscriptionVariables = Exact<{
  id: string | number;
}>;


export type ImportProgressSubscription = { importProgress: { id: string, fileName: string, state: ImportState, stopReason: ImportStopReason | null, message: string, dryRun: boolean, warnings: Array<string>, counts: { read: number, created: number, updated: number, skipped: number, rejected: number, suppressed: number } } };

export type CancelImportMutationVariables = Exact<{
  id: string | number;
}>;


export type CancelImportMutation = { cancelImport: { userErrors: Array<{ message: string, path: Array<string> }> } };

export type RejectsQueryVariables = Exact<{
  id: string | number;
}>;


export type RejectsQuery = { importJob: { rejects: { nodes: Array<{ lineNumber: number, column: string | null, message: string, row: string }> } } | null };

export type SuppressionFieldsFragment = { id: string, type: DestinationType, target: string, reason: string, source: SuppressionSource, expiresAt: string | null, tmCreate: string };

export type SuppressionsQueryVariables = Exact<{
  after?: string | null | undefined;
  where?: SuppressionFilter | null | undefined;
}>;


export type SuppressionsQuery = { suppressions: { totalCount: number | null, pageInfo: { hasNextPage: boolean, endCursor: string | null }, nodes: Array<{ id: string, type: DestinationType, target: string, reason: string, source: SuppressionSource, expiresAt: string | null, tmCreate: string }> } };

export type AddSuppressionsMutationVariables = Exact<{
  input: AddSuppressionsInput;
}>;


export type AddSuppressionsMutation = { addSuppressions: { suppressions: Array<{ id: string }>, userErrors: Array<{ message: string, path: Array<string> }> } };

export type RemoveSuppressionsMutationVariables = Exact<{
  input: RemoveSuppressionsInput;
}>;


export type RemoveSuppressionsMutation = { removeSuppressions: { suppressions: Array<{ id: string }>, userErrors: Array<{ message: string, path: Array<string> }> } };

export type ResultCodeFieldsFragment = { code: string, label: string, disposition: Disposition, isRightParty: boolean, isConversion: boolean, isRetired: boolean };

export type ResultCodesQueryVariables = Exact<{ [key: string]: never; }>;


export type ResultCodesQuery = { resultCodes: Array<{ code: string, label: string, disposition: Disposition, isRightParty: boolean, isConversion: boolean, isRetired: boolean }> };

export type SetResultCodesMutationVariables = Exact<{
  input: SetResultCodesInput;
}>;


export type SetResultCodesMutation = { setResultCodes: { resultCodes: Array<{ code: string }> | null, userErrors: Array<{ message: string, path: Array<string> }> } };

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
export const CallbackFieldsFragmentDoc = new TypedDocumentString(`
    fragment CallbackFields on Callback {
  at
  destinationIndex
  dialer
  windowSeconds
  note
  openedAt
}
    `, {"fragmentName":"CallbackFields"}) as unknown as TypedDocumentString<CallbackFieldsFragment, unknown>;
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
    suppressed
  }
}
    `, {"fragmentName":"JobFields"}) as unknown as TypedDocumentString<JobFieldsFragment, unknown>;
export const SuppressionFieldsFragmentDoc = new TypedDocumentString(`
    fragment SuppressionFields on Suppression {
  id
  type
  target
  reason
  source
  expiresAt
  tmCreate
}
    `, {"fragmentName":"SuppressionFields"}) as unknown as TypedDocumentString<SuppressionFieldsFragment, unknown>;
export const ResultCodeFieldsFragmentDoc = new TypedDocumentString(`
    fragment ResultCodeFields on ResultCode {
  code
  label
  disposition
  isRightParty
  isConversion
  isRetired
}
    `, {"fragmentName":"ResultCodeFields"}) as unknown as TypedDocumentString<ResultCodeFieldsFragment, unknown>;
export const OutdialsDocument = new TypedDocumentString(`
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
}`) as unknown as TypedDocumentString<OutdialsQuery, OutdialsQueryVariables>;
export const AllTodayDocument = new TypedDocumentString(`
    query AllToday($from: DateTime!, $to: DateTime!, $hour: DateTime!, $hourEnd: DateTime!, $before: DateTime!, $beforeEnd: DateTime!, $timeZone: String!, $campaignId: ID) {
  day: stats(from: $from, to: $to, timeZone: $timeZone, campaignId: $campaignId) {
    total {
      attempts
      answered
    }
  }
  hour: stats(
    from: $hour
    to: $hourEnd
    timeZone: $timeZone
    campaignId: $campaignId
  ) {
    total {
      attempts
      answered
    }
  }
  before: stats(
    from: $before
    to: $beforeEnd
    bucket: MINUTE
    timeZone: $timeZone
    campaignId: $campaignId
  ) {
    total {
      attempts
      answered
    }
  }
}
    `) as unknown as TypedDocumentString<AllTodayQuery, AllTodayQueryVariables>;
export const CallsNowDocument = new TypedDocumentString(`
    query CallsNow($after: String, $campaignId: ID) {
  outdials(first: 100, after: $after, where: {campaignId: $campaignId}) {
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
    `) as unknown as TypedDocumentString<CallsNowQuery, CallsNowQueryVariables>;
export const NextClaimsDocument = new TypedDocumentString(`
    query NextClaims($ids: [ID!]!) {
  nodes(ids: $ids) {
    ... on Outdial {
      id
      nextClaimAt
    }
  }
}
    `) as unknown as TypedDocumentString<NextClaimsQuery, NextClaimsQueryVariables>;
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
}`) as unknown as TypedDocumentString<OutdialQuery, OutdialQueryVariables>;
export const PolicyDocument = new TypedDocumentString(`
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
    `) as unknown as TypedDocumentString<PolicyQuery, PolicyQueryVariables>;
export const DayDocument = new TypedDocumentString(`
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
    `) as unknown as TypedDocumentString<DayQuery, DayQueryVariables>;
export const CallingNowDocument = new TypedDocumentString(`
    query CallingNow($id: ID!) {
  outdial(id: $id) {
    id
    attempts(first: 20, where: {states: [CLAIMED, DIALING]}) {
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
    `) as unknown as TypedDocumentString<CallingNowQuery, CallingNowQueryVariables>;
export const StandingDocument = new TypedDocumentString(`
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
    `) as unknown as TypedDocumentString<StandingQuery, StandingQueryVariables>;
export const CloseBreakerDocument = new TypedDocumentString(`
    mutation CloseBreaker($id: ID!) {
  closeBreaker(id: $id) {
    userErrors {
      message
      path
    }
  }
}
    `) as unknown as TypedDocumentString<CloseBreakerMutation, CloseBreakerMutationVariables>;
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
export const CallbacksDocument = new TypedDocumentString(`
    query Callbacks($id: ID!, $after: String) {
  outdial(id: $id) {
    targets(first: 100, after: $after, where: {hasCallback: true}) {
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
    fragment CallbackFields on Callback {
  at
  destinationIndex
  dialer
  windowSeconds
  note
  openedAt
}`) as unknown as TypedDocumentString<CallbacksQuery, CallbacksQueryVariables>;
export const ScheduleCallbackDocument = new TypedDocumentString(`
    mutation ScheduleCallback($input: ScheduleCallbackInput!) {
  scheduleCallback(input: $input) {
    userErrors {
      message
      path
    }
  }
}
    `) as unknown as TypedDocumentString<ScheduleCallbackMutation, ScheduleCallbackMutationVariables>;
export const CancelCallbackDocument = new TypedDocumentString(`
    mutation CancelCallback($id: ID!) {
  cancelCallback(id: $id) {
    userErrors {
      message
      path
    }
  }
}
    `) as unknown as TypedDocumentString<CancelCallbackMutation, CancelCallbackMutationVariables>;
export const TargetDocument = new TypedDocumentString(`
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
fragment CallbackFields on Callback {
  at
  destinationIndex
  dialer
  windowSeconds
  note
  openedAt
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
export const UpdateTargetDocument = new TypedDocumentString(`
    mutation UpdateTarget($input: UpdateTargetInput!) {
  updateTarget(input: $input) {
    userErrors {
      message
      path
    }
  }
}
    `) as unknown as TypedDocumentString<UpdateTargetMutation, UpdateTargetMutationVariables>;
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
export const UpdateTargetsDocument = new TypedDocumentString(`
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
    `) as unknown as TypedDocumentString<UpdateTargetsMutation, UpdateTargetsMutationVariables>;
export const CancelTargetsDocument = new TypedDocumentString(`
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
    `) as unknown as TypedDocumentString<CancelTargetsMutation, CancelTargetsMutationVariables>;
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
    suppressed
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
    suppressed
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
    `) as unknown as TypedDocumentString<RejectsQuery, RejectsQueryVariables>;
export const SuppressionsDocument = new TypedDocumentString(`
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
    fragment SuppressionFields on Suppression {
  id
  type
  target
  reason
  source
  expiresAt
  tmCreate
}`) as unknown as TypedDocumentString<SuppressionsQuery, SuppressionsQueryVariables>;
export const AddSuppressionsDocument = new TypedDocumentString(`
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
    `) as unknown as TypedDocumentString<AddSuppressionsMutation, AddSuppressionsMutationVariables>;
export const RemoveSuppressionsDocument = new TypedDocumentString(`
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
    `) as unknown as TypedDocumentString<RemoveSuppressionsMutation, RemoveSuppressionsMutationVariables>;
export const ResultCodesDocument = new TypedDocumentString(`
    query ResultCodes {
  resultCodes {
    ...ResultCodeFields
  }
}
    fragment ResultCodeFields on ResultCode {
  code
  label
  disposition
  isRightParty
  isConversion
  isRetired
}`) as unknown as TypedDocumentString<ResultCodesQuery, ResultCodesQueryVariables>;
export const SetResultCodesDocument = new TypedDocumentString(`
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
    `) as unknown as TypedDocumentString<SetResultCodesMutation, SetResultCodesMutationVariables>;