// The list of outdials, kept live by one subscription for all of them.
import type { OutdialFieldsFragment } from "../generated/graphql";
import { OutdialEventsSubscription, OutdialsQuery, ProgressSubscription } from "./documents";
import { ask, words } from "./api";
import { socket } from "./socket.svelte";

export type Outdial = OutdialFieldsFragment;

/** As many as one subscription takes. */
const OUTDIALS_MAX = 100;
const RATE_SECONDS = 60;
const MEASURING_SECONDS = 10;

/** Attempts per minute, from the counts of attempts as they came in. */
export class Rate {
  #seen: [milliseconds: number, attempts: number][] = [];

  see(attempts: number, now: number): void {
    if (this.#seen.at(-1)?.[1] === attempts && this.#seen.length > 1) this.#seen.pop();
    this.#seen.push([now, attempts]);
    while (this.#seen.length > 2 && this.#seen[1]![0] < now - RATE_SECONDS * 1_000) this.#seen.shift();
  }

  /** Null until it was watched for long enough to know. */
  perMinute(now: number): number | null {
    const [first, last] = [this.#seen[0], this.#seen.at(-1)];
    if (!first || !last || now - first[0] < MEASURING_SECONDS * 1_000) return null;
    // Targets that are deleted take their attempts with them.
    return Math.max(0, Math.round(((last[1] - first[1]) / (now - first[0])) * 60_000));
  }
}

export class Outdials {
  list = $state.raw<readonly Outdial[]>([]);
  total = $state<number | null>(null);
  hasMore = $state(false);
  isLoading = $state(true);
  problem = $state("");
  readonly rates = new Map<string, Rate>();

  readonly #name: string;
  #after: string | null = null;
  #followed = "";
  #letGo: (() => void)[] = [];
  #letProgressGo: (() => void) | undefined;
  #isOver = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(name = "") {
    this.#name = name;
  }

  async begin(): Promise<void> {
    this.#letGo.push(
      socket.follow(OutdialEventsSubscription, {}, {
        // Of what happened while the connection was away no event comes: the list is read again.
        next: () => this.refresh(),
      }),
    );
    await this.read();
  }

  end(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#letProgressGo?.();
    for (const letGo of this.#letGo) letGo();
  }

  refresh(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.read(), 200);
  }

  async read({ more = false } = {}): Promise<void> {
    try {
      const { outdials } = await ask(OutdialsQuery, { after: more ? this.#after : null, name: this.#name || null });
      if (this.#isOver) return;
      this.list = (more ? [...this.list, ...outdials.nodes] : outdials.nodes).slice(0, OUTDIALS_MAX);
      this.#after = outdials.pageInfo.endCursor ?? null;
      this.hasMore = outdials.pageInfo.hasNextPage && this.list.length < OUTDIALS_MAX;
      this.total = outdials.totalCount ?? null;
      this.problem = "";
      this.#see(this.list);
      this.#followProgress();
    } catch (error) {
      this.problem = words(error);
    } finally {
      this.isLoading = false;
    }
  }

  #followProgress(): void {
    const ids = this.list.map((outdial) => outdial.id);
    if (this.#followed === ids.join()) return;
    this.#followed = ids.join();
    this.#letProgressGo?.();
    this.#letProgressGo = undefined;
    if (!ids.length) return;
    this.#letProgressGo = socket.follow(ProgressSubscription, { ids }, {
      next: ({ outdialProgress: { outdials } }) => {
        const news = new Map(outdials.map((outdial) => [outdial.id, outdial]));
        this.list = this.list.map((outdial) => news.get(outdial.id) ?? outdial);
        this.#see(outdials);
      },
      failed: (message) => (this.problem = message),
    });
  }

  #see(outdials: readonly Outdial[]): void {
    const now = Date.now();
    for (const { id, progress } of outdials) {
      const rate = this.rates.get(id) ?? new Rate();
      this.rates.set(id, rate);
      rate.see(progress.attempts, now);
    }
  }
}
