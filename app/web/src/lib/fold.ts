// How events change the rows that a page holds. Pure.
import type { DoneReason, TargetEventsSubscription, TargetFieldsFragment, TargetFilter, TargetStatus } from "../generated/graphql";

export type Target = TargetFieldsFragment;
export type Change = TargetEventsSubscription["targetEvents"]["events"][number];

export type Row = Target;

export interface Filter {
  status: TargetStatus | null;
  reason: DoneReason | null;
  /** Only those that somebody asked to be called back. */
  callback: boolean;
  address: string;
  key: string;
}

/** What the server is asked for: the condition of each field that is not empty. */
export function whereOf({ status, reason, callback, address, key }: Filter): TargetFilter {
  return {
    ...(status && { statuses: [status] }),
    ...(reason && { doneReasons: [reason] }),
    ...(callback && { hasCallback: true }),
    ...(address && { destination: address }),
    ...(key && { key }),
  };
}

export interface Folded {
  rows: readonly Row[];
  /** What is shown may lack rows, or show some wrongly: it is to be read afresh. */
  stale: boolean;
}

export const TRY_COUNTS = ["tryCount0", "tryCount1", "tryCount2", "tryCount3", "tryCount4"] as const;

/**
 * The rows after the events. Of two states of one target the higher version is the newer, whichever came first. A row
 * that no longer matches the filter leaves at once.
 * @param hasMore whether more targets match than these rows: their number is known only by reading again.
 */
export function fold(rows: readonly Row[], changes: readonly Change[], filter: Filter, hasMore = false): Folded {
  const places = new Map(rows.map((row, place) => [row.id, place]));
  const found: (Row | null)[] = [...rows];
  let stale = false;
  for (const change of changes) {
    const place = change.targetId ? places.get(change.targetId) : undefined;
    const row = place === undefined ? undefined : found[place];
    if (place === undefined || !row) {
      stale ||= mayEnter(change, filter) || (hasMore && mayLeave(change, filter));
    } else if (change.type === "DELETED") {
      found[place] = null;
    } else if ((change.version ?? 0) > row.version) {
      found[place] = changed(row, change);
      stale ||= change.type === "UPDATED" || filter.callback; // events do not tell whether there still is one
    }
  }
  const left = found.filter((row) => row !== null && matches(row.status, row.doneReason, filter)) as Row[];
  return { rows: left, stale: stale || left.length < rows.length }; // another row moves up
}

function changed(row: Row, change: Change): Row {
  const counts = Object.fromEntries(TRY_COUNTS.map((name, index) => [name, change.tryCounts[index] ?? row[name]]));
  return {
    ...row,
    ...counts,
    status: change.status ?? row.status,
    doneReason: change.doneReason ?? null,
    nextTryAt: change.nextTryAt ?? null,
    version: change.version ?? row.version,
  };
}

/** By what events tell. Only an owner's update changes a target's key or addresses. */
function matches(status: TargetStatus | null | undefined, reason: DoneReason | null | undefined, filter: Filter): boolean {
  return (filter.status === null || filter.status === status) && (filter.reason === null || filter.reason === (reason ?? null));
}

/** Whether a target that is not shown may belong among the rows now. */
function mayEnter(change: Change, filter: Filter): boolean {
  if (change.type === "DELETED") return false;
  if (change.targetId === null || change.type === "CREATED" || change.type === "IMPORTED") return true;
  if (change.type === "UPDATED") return filter.address !== "" || filter.key !== "";
  if (filter.callback) return matches(change.status, change.doneReason, filter) && (change.type === "CALLBACK" || change.status === "IDLE");
  return isByState(filter) && matches(change.status, change.doneReason, filter);
}

/** Whether a target that is not shown may have matched before. */
function mayLeave(change: Change, filter: Filter): boolean {
  return change.type === "DELETED" || filter.callback || (isByState(filter) && !matches(change.status, change.doneReason, filter));
}

function isByState(filter: Filter): boolean {
  return filter.status !== null || filter.reason !== null;
}

/** Rows that were just read, each in the newer of the states that are known of it. */
export function reread(read: readonly Target[], known: readonly Row[]): Row[] {
  const before = new Map(known.map((row) => [row.id, row]));
  return read.map((row) => {
    const shown = before.get(row.id);
    return shown && shown.version > row.version ? shown : row;
  });
}
