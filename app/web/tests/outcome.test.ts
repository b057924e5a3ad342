import { describe, expect, it } from "vitest";
import { headline, reason, type Job } from "../src/lib/outcome";

type Counts = [created: number, updated: number, skipped: number, rejected: number];

function job(state: string, [created, updated, skipped, rejected]: Counts, more: Partial<Job> = {}): Job {
  const read = created + updated + skipped + rejected;
  return {
    id: "1", fileName: "people.csv", state, stopReason: null, message: "", dryRun: false, warnings: [],
    counts: { read, created, updated, skipped, rejected },
    ...more,
  } as Job;
}

describe("the headline says what became of the rows", () => {
  it.each<[string, Job, string]>([
    ["all in", job("COMPLETED", [5, 0, 0, 0]), "5 of 5 imported."],
    ["none in", job("COMPLETED", [0, 0, 0, 5]), "0 of 5 imported, 5 rejected."],
    ["some in", job("COMPLETED", [2, 0, 0, 3]), "2 of 5 imported, 3 rejected."],
    ["all skipped", job("COMPLETED", [0, 0, 5, 0]), "0 of 5 imported, 5 skipped."],
    ["updates alone", job("COMPLETED", [0, 4, 1, 0]), "4 of 5 imported (0 new, 4 updated), 1 skipped."],
    ["everything", job("COMPLETED", [1, 2, 3, 4]), "3 of 10 imported (1 new, 2 updated), 3 skipped, 4 rejected."],
    ["an empty file", job("COMPLETED", [0, 0, 0, 0]), "0 of 0 imported. The file has no rows."],
    ["dry run", job("COMPLETED", [4, 0, 0, 1], { dryRun: true }), "Dry run: 4 of 5 would be imported, 1 rejected. Nothing was stored."],
    ["dry run, none", job("COMPLETED", [0, 0, 0, 5], { dryRun: true }), "Dry run: 0 of 5 would be imported, 5 rejected. Nothing was stored."],
    ["dry run, empty", job("COMPLETED", [0, 0, 0, 0], { dryRun: true }), "Dry run: The file has no rows."],
    ["failed", job("FAILED", [1, 0, 0, 1001], { stopReason: "TOO_MANY_REJECTS" }), "Import failed. Until then: 1 of 1,002 imported, 1,001 rejected."],
    ["failed at once", job("FAILED", [0, 0, 0, 0], { stopReason: "FILE" }), "Import failed. No row was read."],
    ["interrupted", job("FAILED", [7, 0, 0, 0], { stopReason: "INTERRUPTED" }), "Import interrupted. Until then: 7 of 7 imported."],
    ["stopped", job("CANCELED", [3, 0, 1, 0], { stopReason: "CANCELED" }), "Import stopped. Until then: 3 of 4 imported, 1 skipped."],
    ["stopped by a pause", job("CANCELED", [0, 0, 0, 0], { stopReason: "PAUSED" }), "Import stopped. No row was read."],
    ["a dry run stopped", job("CANCELED", [3, 0, 0, 0], { stopReason: "CANCELED", dryRun: true }), "Dry run stopped. Until then: 3 of 3 would be imported. Nothing was stored."],
    ["a dry run failed", job("FAILED", [0, 0, 0, 2], { stopReason: "TOO_MANY_REJECTS", dryRun: true }), "Dry run failed. Until then: 0 of 2 would be imported, 2 rejected. Nothing was stored."],
  ])("%s", (_, given, words) => {
    expect(headline(given, false)).toBe(words);
    // also if the answer to the upload is still on its way
    expect(headline(given, true)).toBe(words);
  });

  it.each<[string, Job, string, string]>([
    ["queued", job("QUEUED", [0, 0, 0, 0]), "Queued. Other imports go first.", "This page no longer sends the file, and the import has not ended yet."],
    ["running", job("RUNNING", [3, 0, 0, 2]), "Importing…", "This page no longer sends the file, and the import has not ended yet. So far: 3 of 5 imported, 2 rejected."],
    ["checking", job("RUNNING", [3, 0, 0, 0], { dryRun: true }), "Checking…", "This page no longer sends the file, and the import has not ended yet. So far: 3 of 3 would be imported."],
  ])("%s", (_, given, sending, sent) => {
    expect(headline(given, true)).toBe(sending);
    expect(headline(given, false)).toBe(sent);
  });

  it("never says that a rejected or skipped row is in, whatever the counts and the end", () => {
    for (const state of ["COMPLETED", "FAILED", "CANCELED"])
      for (const dryRun of [false, true])
        for (let mix = 1; mix < 81; mix += 1) {
          const counts = [mix % 3, Math.floor(mix / 3) % 3, Math.floor(mix / 9) % 3, Math.floor(mix / 27)] as Counts;
          const words = headline(job(state, counts, { dryRun }), false);
          const [created, updated, skipped, rejected] = counts;
          expect(words).toContain(`${created + updated} of ${created + updated + skipped + rejected} `);
          expect(words.includes(`${skipped} skipped`)).toBe(skipped > 0);
          expect(words.includes(`${rejected} rejected`)).toBe(rejected > 0);
          expect(words.includes("Nothing was stored")).toBe(dryRun);
        }
  });
});

describe("an upload that the reader stopped", () => {
  const cut = job("FAILED", [0, 0, 0, 0], { stopReason: "INTERRUPTED", message: "Send the file again." });

  it("is a stopped import, though the server saw it break off", () => {
    expect(headline(cut, false, true)).toBe("Import stopped. No row was read.");
    expect(reason(cut, true)).toBe("");
  });

  it("has the server's reason otherwise", () => {
    expect(reason(cut, false)).toBe("Send the file again.");
    const failed = job("FAILED", [0, 0, 0, 0], { stopReason: "FILE", message: "The file has no header." });
    expect(headline(failed, false, true)).toBe("Import failed. No row was read.");
    expect(reason(failed, true)).toBe("The file has no header.");
  });
});
