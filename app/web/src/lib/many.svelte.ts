// A change of many targets: counted first, then repeated until none remains.
import { words } from "./api";
import { newKey } from "./once";

interface Answer {
  count: number;
  remaining: number;
}

/** What is asked of the server: only to count, or to change some, once for each key. */
type Ask = (how: { dryRun: boolean; idempotencyKey: string | null }) => Promise<Answer>;

export class Many {
  /** How many would be changed; null until they were counted. */
  found = $state<number | null>(null);
  done = $state(0);
  isBusy = $state(false);
  isOver = $state(false);
  problem = $state("");
  readonly #ask: Ask;
  /** Of the call that is under way, or was lost: sent again, it changes nothing twice. */
  #key: string | null = null;
  #isClosed = false;

  constructor(ask: Ask) {
    this.#ask = ask;
  }

  /** What is wanted has changed, so that the count no longer holds. */
  change(): void {
    [this.found, this.done, this.isOver, this.#key, this.problem] = [null, 0, false, null, ""];
  }

  async count(): Promise<void> {
    await this.#act(async () => {
      const { count, remaining } = await this.#ask({ dryRun: true, idempotencyKey: null });
      [this.found, this.done, this.isOver, this.#key] = [count + remaining, 0, false, null];
    });
  }

  async run(): Promise<void> {
    await this.#act(async () => {
      if (!this.found || this.isOver) return;
      for (let left = 1; left > 0 && !this.#isClosed; ) {
        this.#key ??= newKey();
        const { count, remaining } = await this.#ask({ dryRun: false, idempotencyKey: this.#key });
        this.#key = null;
        this.done += count;
        left = count ? remaining : 0;
      }
      this.isOver = true;
    });
  }

  /** What is changed is so; the rest stays when the dialog is closed, since nobody would see it go on. */
  close(): void {
    this.#isClosed = true;
  }

  async #act(work: () => Promise<void>): Promise<void> {
    if (this.isBusy) return;
    this.isBusy = true;
    this.problem = "";
    try {
      await work();
    } catch (error) {
      this.problem = words(error);
    } finally {
      this.isBusy = false;
    }
  }
}
