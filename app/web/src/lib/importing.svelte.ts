// A file on its way into an outdial.
import type { RejectsQuery as RejectsQuery_ } from "../generated/graphql";
import { accepted, ask, Problem, words } from "./api";
import { base } from "./base";
import { CancelImportMutation, ImportByKeyQuery, ImportProgressSubscription, RejectsQuery } from "./documents";
import { newKey } from "./once";
import type { Job } from "./outcome";
import { session } from "./session.svelte";
import { socket } from "./socket.svelte";

export interface Options {
  onDuplicateKey: string;
  dedupe: string;
  region: string;
  encoding: string;
  keepsExtra: boolean;
  isDryRun: boolean;
}

export type Reject = NonNullable<RejectsQuery_["importJob"]>["rejects"]["nodes"][number];

const FIND_MS = 400;
const UNDER_WAY: ReadonlySet<string> = new Set(["QUEUED", "RUNNING"]);

/** An import of one outdial: the file, how it is read, and what comes of it. It goes on while its dialog is closed. */
export class Import {
  job = $state.raw<Job | null>(null);
  file = $state.raw<File | null>(null);
  options = $state<Options>({ onDuplicateKey: "reject", dedupe: "none", region: "", encoding: "", keepsExtra: false, isDryRun: false });
  /** The part of the file that was sent, 0 to 1. */
  sent = $state(0);
  isRunning = $state(false);
  problem = $state("");
  /** The first ones. */
  rejects = $state.raw<readonly Reject[]>([]);
  readonly outdial: string;
  /** Of the outdial. */
  readonly name: string;
  /** By it an upload that broke off goes on where it ended. */
  #key = "";
  #of = "";
  #letGo: (() => void) | undefined;
  #request: XMLHttpRequest | undefined;
  /** The reader has stopped it. */
  isStopped = $state(false);

  constructor(outdial: string, name: string, file: File | null) {
    this.outdial = outdial;
    this.name = name;
    this.file = file;
  }

  async send(): Promise<void> {
    const [file, options] = [this.file, { ...this.options }];
    if (!file || this.isRunning) return;
    const wish = JSON.stringify([file.name, file.size, file.lastModified, options]);
    if (wish !== this.#of || this.job?.state === "COMPLETED") {
      this.#key = newKey();
      this.#of = wish;
    }
    this.#letGo?.();
    [this.job, this.sent, this.problem, this.rejects, this.isRunning, this.isStopped] = [null, 0, "", [], true, false];
    const watching = this.#watch();
    try {
      await this.#upload(file, options);
    } catch (error) {
      if (!this.isStopped) this.problem = words(error);
    } finally {
      this.isRunning = false;
      await watching;
    }
    await this.#conclude();
    if (!this.job && this.isStopped) this.problem = "Stopped before the import began.";
  }

  /** Know what came of it, as far as it has come: an upload that broke off is followed until the server ends it. */
  async #conclude(): Promise<void> {
    try {
      this.job = await this.#find();
      if (this.job && UNDER_WAY.has(this.job.state)) return;
      this.#letGo?.();
      if (this.job?.counts.rejected) this.rejects = await this.#firstRejects(this.job.id);
    } catch (error) {
      this.problem ||= words(error);
    }
    imports.ended += 1;
  }

  /** End it: rows that are in stay. */
  async stop(): Promise<void> {
    try {
      const job = this.job ?? (await this.#find());
      if (job) accepted((await ask(CancelImportMutation, { id: job.id })).cancelImport);
    } catch (error) {
      this.problem = words(error);
      return;
    }
    this.isStopped = true;
    this.#request?.abort();
  }

  /** Cut the upload off. The server keeps what is in, and ends the import as interrupted. */
  abandon(): void {
    this.isStopped = true;
    this.#request?.abort();
  }

  /** Where the file of the rejected rows is. */
  get rejectsPath(): string {
    return `v1.0/outdials/${this.outdial}/imports/${this.job?.id ?? ""}/rejects`;
  }

  async #firstRejects(id: string): Promise<readonly Reject[]> {
    return (await ask(RejectsQuery, { id })).importJob?.rejects.nodes ?? [];
  }

  async #find(): Promise<Job | null> {
    const { outdial } = await ask(ImportByKeyQuery, { id: this.outdial, key: this.#key });
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
          this.job = importProgress;
          if (!this.isRunning && !UNDER_WAY.has(importProgress.state)) void this.#conclude();
        },
      });
      return;
    }
  }

  /** Send the file. Its own kind of request is used, since it alone tells how much has left. */
  async #upload(file: File, options: Options): Promise<void> {
    const address = new URL(`${base}v1.0/outdials/${this.outdial}/targets/import`, location.href);
    const name = file.name.toLowerCase().replace(/\.gz$/, "");
    const isNdjson = /\.(ndjson|jsonl)$/.test(name);
    const parameters = {
      file_name: file.name.slice(-255),
      on_duplicate_key: options.onDuplicateKey,
      dedupe: options.dedupe,
      dry_run: String(options.isDryRun),
      region: options.region,
      // A file whose first bytes name its encoding needs no other name, such as a file of rejected rows.
      encoding: (await isMarked(file)) ? "" : options.encoding,
      extra: options.keepsExtra ? "data" : "",
    };
    for (const [key, value] of Object.entries(parameters)) if (value) address.searchParams.set(key, value);
    if (this.isStopped) throw new Problem("Stopped.");
    return new Promise((resolve, reject) => {
      const request = (this.#request = new XMLHttpRequest());
      request.open("POST", address);
      for (const [name, value] of Object.entries(session.headers())) request.setRequestHeader(name, value);
      request.setRequestHeader("Content-Type", isNdjson ? "application/x-ndjson" : "text/csv");
      request.setRequestHeader("Idempotency-Key", this.#key);
      request.upload.onprogress = (event) => (this.sent = event.total ? event.loaded / event.total : 0);
      request.onerror = () => reject(new Problem("The connection broke. Import the file again: it goes on where it was."));
      request.onabort = () => reject(new Problem("Stopped."));
      request.onload = () => {
        if (request.status === 200) return resolve();
        reject(new Problem(said(request.responseText) ?? `The server answered ${request.status}.`));
      };
      request.send(file);
    });
  }
}

/** The imports that this page has begun, and the one whose dialog is open. */
class Imports {
  all = $state.raw<readonly Import[]>([]);
  shown = $state.raw<Import | null>(null);
  /** Grows with each import that ends. */
  ended = $state(0);

  get isRunning(): boolean {
    return this.all.some((one) => one.isRunning);
  }

  /** Those that are not to be seen but go on, or have ended unseen. */
  get hidden(): readonly Import[] {
    return this.all.filter((one) => one !== this.shown);
  }

  /** Open a dialog for an outdial: of the import that goes on there, else of a new one. */
  open(outdial: string, name: string, file: File | null): void {
    const running = this.all.find((one) => one.outdial === outdial && one.isRunning);
    if (running && file) running.problem = `${file.name} is not imported while another import goes on. Wait for it, or stop it.`;
    this.show(running ?? new Import(outdial, name, file));
  }

  show(one: Import): void {
    this.hide();
    if (!this.all.includes(one)) this.all = [...this.all, one];
    this.shown = one;
  }

  /** Close the dialog. What goes on is still to be seen and to be stopped. */
  hide(): void {
    const one = this.shown;
    this.shown = null;
    if (one && !one.isRunning) this.remove(one);
  }

  remove(one: Import): void {
    this.all = this.all.filter((other) => other !== one);
  }

  /** Another customer has logged in: nobody could see or stop what goes on. */
  end(): void {
    for (const one of this.all) if (one.isRunning) one.abandon();
    [this.all, this.shown] = [[], null];
  }
}

export const imports = new Imports();

/** Whether the file begins with a byte order mark. */
async function isMarked(file: File): Promise<boolean> {
  const start = await file.slice(0, 3).arrayBuffer().catch(() => null);
  if (!start) throw new Problem(`${file.name} cannot be read any more. Choose it again.`);
  const [first, second, third] = new Uint8Array(start);
  return (first === 0xef && second === 0xbb && third === 0xbf) || (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff);
}

function said(body: string): string | null {
  try {
    return (JSON.parse(body) as { error?: { message?: string } }).error?.message ?? null;
  } catch {
    return null;
  }
}
