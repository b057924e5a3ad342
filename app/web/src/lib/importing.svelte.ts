// A file on its way into an outdial.
import type { JobFieldsFragment } from "../generated/graphql";
import { accepted, ask, Problem, words } from "./api";
import { base } from "./base";
import { CancelImportMutation, ImportByKeyQuery, ImportProgressSubscription, RejectsQuery } from "./documents";
import type { Reject } from "./csv";
import { session } from "./session.svelte";
import { socket } from "./socket.svelte";

export type Job = JobFieldsFragment;

export interface Options {
  onDuplicateKey: string;
  dedupe: string;
  region: string;
  encoding: string;
  keepsExtra: boolean;
  isDryRun: boolean;
}

interface RejectsPage {
  nodes: Reject[];
  pageInfo: { hasNextPage: boolean; endCursor?: string | null };
}

const FIND_MS = 400;
/** In the table; a download has them all, up to as many as an import keeps. */
export const REJECTS_SHOWN_MAX = 100;

export class Import {
  job = $state.raw<Job | null>(null);
  /** The part of the file that was sent, 0 to 1. */
  sent = $state(0);
  isRunning = $state(false);
  problem = $state("");
  rejects = $state.raw<readonly Reject[]>([]);
  readonly #outdial: string;
  /** By it an upload that broke off goes on where it ended. */
  #key = "";
  #of = "";
  #letGo: (() => void) | undefined;

  constructor(outdial: string) {
    this.#outdial = outdial;
  }

  async send(file: File, options: Options): Promise<void> {
    const wish = JSON.stringify([file.name, file.size, file.lastModified, options]);
    if (wish !== this.#of || this.job?.state === "COMPLETED") {
      this.#key = `page-${crypto.getRandomValues(new Uint32Array(4)).join("-")}`;
      this.#of = wish;
    }
    [this.job, this.sent, this.problem, this.rejects, this.isRunning] = [null, 0, "", [], true];
    const watching = this.#watch();
    try {
      await this.#upload(file, options);
    } catch (error) {
      this.problem = words(error);
    } finally {
      this.isRunning = false;
      await watching;
      this.#letGo?.();
    }
    try {
      this.job = await this.#find();
      if (this.job?.counts.rejected) this.rejects = (await this.#page(null)).nodes;
    } catch (error) {
      this.problem ||= words(error);
    }
  }

  async cancel(): Promise<void> {
    if (!this.job) return;
    try {
      accepted((await ask(CancelImportMutation, { id: this.job.id })).cancelImport);
    } catch (error) {
      this.problem = words(error);
    }
  }

  async allRejects(): Promise<Reject[]> {
    const found: Reject[] = [];
    let after: string | null = null;
    do {
      const page: RejectsPage = await this.#page(after);
      found.push(...page.nodes);
      after = page.pageInfo.hasNextPage ? (page.pageInfo.endCursor ?? null) : null;
    } while (after !== null);
    return found;
  }

  async #page(after: string | null): Promise<RejectsPage> {
    const { importJob } = await ask(RejectsQuery, { id: this.job?.id ?? "", after });
    if (!importJob) throw new Problem("The import is no longer kept.");
    return importJob.rejects;
  }

  async #find(): Promise<Job | null> {
    const { outdial } = await ask(ImportByKeyQuery, { id: this.#outdial, key: this.#key });
    return outdial?.imports.nodes[0] ?? null;
  }

  /** Find the job that the upload makes, and follow it. */
  async #watch(): Promise<void> {
    while (this.isRunning) {
      await new Promise((resolve) => setTimeout(resolve, FIND_MS));
      const job = await this.#find().catch(() => null);
      if (!job || !this.isRunning) continue;
      this.job = job;
      this.#letGo = socket.follow(ImportProgressSubscription, { id: job.id }, {
        next: ({ importProgress }) => {
          if (this.isRunning) this.job = importProgress;
        },
      });
      return;
    }
  }

  /** Send the file. Its own kind of request is used, since it alone tells how much has left. */
  #upload(file: File, options: Options): Promise<void> {
    const address = new URL(`${base}v1.0/outdials/${this.#outdial}/targets/import`, location.href);
    const name = file.name.toLowerCase().replace(/\.gz$/, "");
    const isNdjson = /\.(ndjson|jsonl)$/.test(name);
    const parameters = {
      file_name: file.name.slice(-255),
      on_duplicate_key: options.onDuplicateKey,
      dedupe: options.dedupe,
      dry_run: String(options.isDryRun),
      region: options.region,
      encoding: options.encoding,
      extra: options.keepsExtra ? "data" : "",
    };
    for (const [key, value] of Object.entries(parameters)) if (value) address.searchParams.set(key, value);
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open("POST", address);
      for (const [name, value] of Object.entries(session.headers())) request.setRequestHeader(name, value);
      request.setRequestHeader("Content-Type", isNdjson ? "application/x-ndjson" : "text/csv");
      request.setRequestHeader("Idempotency-Key", this.#key);
      request.upload.onprogress = (event) => (this.sent = event.total ? event.loaded / event.total : 0);
      request.onerror = () => reject(new Problem("The connection broke. Import the file again: it goes on where it was."));
      request.onload = () => {
        if (request.status === 200) return resolve();
        reject(new Problem(said(request.responseText) ?? `The server answered ${request.status}.`));
      };
      request.send(file);
    });
  }
}

function said(body: string): string | null {
  try {
    return (JSON.parse(body) as { error?: { message?: string } }).error?.message ?? null;
  } catch {
    return null;
  }
}
