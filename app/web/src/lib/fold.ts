// How events change the rows that a page holds. Pure.
import type { DoneReason, TargetEventsSubscription, TargetFieldsFragment, TargetStatus } from "../generated/graphql";

export type Target = TargetFieldsFragment;
export type Change = TargetEventsSubscription["targetEvents"]["events"][number];

export interface Row extends Target {
  /** It matches the filter no longer; the next reading takes it out. */
  left?: boolean;
}

export interface Filter {
  status: TargetStatus | null;
  reason: DoneReason | null;
  address: string;
  key: string;
}

export interface Folded {
  rows: readonly Row[];
  /** What is shown may lack rows, or show some wrongly: it is to be read afresh. */
  stale: boolean;
}

export const TRY_COUNTS = ["tryCount0", "tryCount1", "tryCount2", "tryCount3", "tryCount4"] as const;

/** The rows after the events. Of two states of one target the higher version is the newer, whichever came first. */
export function fold(rows: readonly Row[], changes: readonly Change[], filter: Filter): Folded {
  const places = new Map(rows.map((row, place) => [row.id, place]));
  const found: (Row | null)[] = [...rows];
  let stale = false;
  for (const change of changes) {
    const place = change.targetId ? places.get(change.targetId) : undefined;
    const row = place === undefined ? undefined : found[place];
    if (place === undefined || !row) {
      stale ||= mayEnter(change, filter);
    } else if (change.type === "DELETED") {
      found[place] = null;
      stale = true; // another row moves up
    } else if ((change.version ?? 0) > row.version) {
      found[place] = changed(row, change, filter);
      stale ||= change.type === "UPDATED" || found[place]?.left === true;
    }
  }
  return { rows: found.filter((row) => row !== null), stale };
}

function changed(row: Row, change: Change, filter: Filter): Row {
  const counts = Object.fromEntries(TRY_COUNTS.map((name, index) => [name, change.tryCounts[index] ?? row[name]]));
  const status = change.status ?? row.status;
  const doneReason = change.doneReason ?? null;
  return {
    ...row,
    ...counts,
    status,
    doneReason,
    nextTryAt: change.nextTryAt ?? null,
    version: change.version ?? row.version,
    left: !matches(status, doneReason, filter),
  };
}

function matches(status: TargetStatus | null | undefined, reason: DoneReason | null, filter: Filter): boolean {
  return (filter.status === null || filter.status === status) && (filter.reason === null || filter.reason === reason);
}

/** Whether a target that is not shown may belong among the rows now. */
function mayEnter(change: Change, filter: Filter): boolean {
  if (change.type === "DELETED") return false;
  if (change.targetId === null || change.type === "CREATED" || change.type === "IMPORTED") return true;
  const isFiltered = filter.status !== null || filter.reason !== null;
  return isFiltered && matches(change.status, change.doneReason ?? null, filter);
}

/** Rows that were just read, each in the newer of the states that are known of it. */
export function reread(read: readonly Target[], known: readonly Row[]): Row[] {
  const before = new Map(known.map((row) => [row.id, row]));
  return read.map((row) => {
    const shown = before.get(row.id);
    return shown && shown.version > row.version ? shown : row;
  });
}
