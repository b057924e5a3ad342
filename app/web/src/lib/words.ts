// The page's words for the names of the API: one for each, wherever it stands.
import type { AttemptState, BlockReason, BreakerState, DestinationType, Disposition, DoneReason, OutdialState, SuppressionSource, TargetStatus, TimeZoneSource } from "../generated/graphql";

export const STATUS: Record<TargetStatus, string> = { IDLE: "Waiting", PROGRESSING: "Calling", DONE: "Done" };

export const OUTDIAL: Record<OutdialState, string> = { ACTIVE: "Active", PAUSED: "Paused" };

export const REASON: Record<DoneReason, string> = {
  ANSWERED: "Answered",
  EXHAUSTED: "Exhausted",
  DO_NOT_CALL: "Do not call",
  CANCELED: "Canceled",
  UNCONFIRMED: "Unconfirmed",
  FINISHED: "Finished by a rule",
};

export const DISPOSITION: Record<Disposition, string> = {
  ANSWERED: "Answered",
  BUSY: "Busy",
  NO_ANSWER: "No answer",
  FAILED: "Failed",
  CANCELED: "Canceled",
  TIMEOUT: "Timeout",
  MACHINE: "Answering machine",
  INVALID_DESTINATION: "Invalid address",
  DO_NOT_CALL: "Do not call",
  CALLBACK: "Asked to be called back",
};

export const ATTEMPT: Record<AttemptState, string> = {
  CLAIMED: "Claimed",
  DIALING: "Dialing",
  COMPLETED: "Completed",
  RELEASED: "Released, not counted",
  EXPIRED: "Lease expired",
  UNCONFIRMED: "Unconfirmed",
  REVOKED: "Revoked",
};

/** Why nothing of an outdial is called, for those reasons that hold all of it. */
export const STOP: Partial<Record<BlockReason, string>> = {
  DELETED: "It is deleted.",
  PAUSED: "It is paused.",
  NOT_STARTED: "It has not started.",
  ENDED: "It has ended.",
  BREAKER_OPEN: "Too many calls failed.",
  PACED: "It is called as fast as its pace allows.",
  OUTSIDE_CALLING_HOURS: "The calling hours are closed.",
};

/** Why a target waits, for those reasons whose own words are for dialers. */
export const HELD: Partial<Record<BlockReason, string>> = {
  BREAKER_OPEN: "Too many calls of its outdial failed.",
  CALLBACK_OF_ANOTHER: "Its callback is kept for one dialer.",
};

export const BREAKER: Record<BreakerState, string> = {
  CLOSED: "Closed: calls go on",
  OPEN: "Open: calls have stopped",
  PROBING: "Open: calls have stopped, but for one that is under way",
};

export const SOURCE: Record<SuppressionSource, string> = { OWNER: "Added here", CALLEE: "Asked not to be called", IMPORT: "Imported" };

export const TYPE: Record<DestinationType, string> = {
  TEL: "Telephone",
  SIP: "SIP",
  EMAIL: "Email",
  WHATSAPP: "WhatsApp",
  EXTENSION: "Extension",
  AGENT: "Agent",
  CONFERENCE: "Conference",
  LINE: "LINE",
  WEBCHAT: "Web chat",
  WEB_SESSION: "Web session",
  AI: "AI",
  AI_TEAM: "AI team",
};

/** Where a time zone is known from. */
export const ZONE: Record<TimeZoneSource, string> = {
  GIVEN: "as given",
  POLICY: "the policy's",
  PHONE_NUMBER: "by the number",
  OUTDIAL_DEFAULT: "the outdial's",
  UNKNOWN: "Unknown",
};

/** Keys in their order, with their type. */
export function names<K extends string>(words: Record<K, string>): K[] {
  return Object.keys(words) as K[];
}

/** A target's state in one word: why it is done, if it is. */
export function standing(target: { status: TargetStatus; doneReason?: DoneReason | null }): string {
  return target.doneReason ? REASON[target.doneReason] : STATUS[target.status];
}
