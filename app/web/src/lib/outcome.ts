// What an import came to, in words that hold for every mix of counts. Pure.
import type { JobFieldsFragment } from "../generated/graphql";
import { count } from "./format";

export type Job = JobFieldsFragment;

/**
 * The headline of an import.
 *
 * @param isSending Whether this page still sends the file, or waits for the answer.
 * @param isStopped Whether the reader stopped it here: to the server, an upload that was cut off is an interrupted one.
 */
export function headline(job: Job, isSending: boolean, isStopped = false): string {
  if (job.state === "QUEUED") return isSending ? "Queued. Other imports go first." : GOES_ON;
  if (job.state === "RUNNING") {
    if (!isSending) return `${GOES_ON} So far: ${share(job)}.`;
    return job.dryRun ? "Checking…" : "Importing…";
  }
  if (job.state === "COMPLETED") {
    if (!job.counts.read) return job.dryRun ? `Dry run: ${NO_ROWS}` : `0 of 0 imported. ${NO_ROWS}`;
    return job.dryRun ? `Dry run: ${share(job)}. Nothing was stored.` : `${share(job)}.`;
  }
  const ended = job.state === "CANCELED" || wasCutOff(job, isStopped) ? "stopped" : isInterrupted(job) ? "interrupted" : "failed";
  const what = `${job.dryRun ? "Dry run" : "Import"} ${ended}.`;
  if (!job.counts.read) return `${what} No row was read.`;
  return `${what} Until then: ${share(job)}.${job.dryRun ? " Nothing was stored." : ""}`;
}

/** Why it ended, as the server says; nothing where the reader knows. */
export function reason(job: Job, isStopped: boolean): string {
  return wasCutOff(job, isStopped) ? "" : job.message;
}

const isInterrupted = (job: Job): boolean => job.state === "FAILED" && job.stopReason === "INTERRUPTED";
const wasCutOff = (job: Job, isStopped: boolean): boolean => isStopped && isInterrupted(job);

const GOES_ON = "This page no longer sends the file, and the import has not ended yet.";
const NO_ROWS = "The file has no rows.";

/** "3 of 5 imported (2 new, 1 updated), 1 skipped, 1 rejected" */
function share({ counts, dryRun }: Job): string {
  const taken = counts.created + counts.updated;
  const parts = [`${count(taken)} of ${count(counts.read)} ${dryRun ? "would be imported" : "imported"}`];
  if (counts.updated) parts[0] += ` (${count(counts.created)} new, ${count(counts.updated)} updated)`;
  if (counts.skipped) parts.push(`${count(counts.skipped)} skipped`);
  if (counts.rejected) parts.push(`${count(counts.rejected)} rejected`);
  if (counts.suppressed) parts.push(`${count(counts.suppressed)} on the do-not-call list`);
  return parts.join(", ");
}
