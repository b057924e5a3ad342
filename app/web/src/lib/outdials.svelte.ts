// The list of outdials, kept live by one subscription for all of them.
import type { OutdialFieldsFragment, OutdialState, OutdialsQuery as OutdialsQueryResult } from "../generated/graphql";
import { NextClaimsQuery, OutdialEventsSubscription, OutdialsQuery, ProgressSubscription } from "./documents";
import { ask, words } from "./api";
import { socket } from "./socket.svelte";

export type Outdial = OutdialFieldsFragment;

export interface Wanted {
  name: string;
  state: OutdialState | null;
  campaign: string;
}

/** As many as one subscription takes. */
const OUTDIALS_MAX = 100;
const RATE_SECONDS = 60;
const MEASURING_SECONDS = 10;
/** Calls, caps and hours move the next claim, and no event says where to. */
const NEXT_CLAIMS_SECONDS = 30;

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
  /** By outdial; null if nothing is foreseen though targets wait. */
  #nextClaims = $state.raw<ReadonlyMap<string, number | null>>(new Map());

  readonly #where: { nameContains: string | null; states: OutdialState[] | null; campaignId: string | null };
  #wanted = 0;
  #isReading = false;
  /** Something happened while the server was asked: its answer may be older. */
  #isStale = false;
  #followed = "";
  #letGo: (() => void)[] = [];
  #letProgressGo: (() => void) | undefined;
  #isOver = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #nextClaimsTimer: ReturnType<typeof setInterval> | undefined;

  constructor({ name, state, campaign }: Wanted = { name: "", state: null, campaign: "" }) {
    this.#where = { nameContains: name || null, states: state && [state], campaignId: campaign || null };
  }

  async begin(): Promise<void> {
    this.#letGo.push(
      socket.follow(OutdialEventsSubscription, {}, {
        // Of what happened while the connection was away no event comes: the list is read again.
        next: () => this.refresh(),
      }),
    );
    this.#nextClaimsTimer = setInterval(() => void this.#readNextClaims(), NEXT_CLAIMS_SECONDS * 1_000);
    await this.read();
  }

  end(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    clearInterval(this.#nextClaimsTimer);
    this.#letProgressGo?.();
    for (const letGo of this.#letGo) letGo();
  }

  refresh(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.read(), 200);
  }

  /** Read as many as are shown, from the newest on; with `more`, a page more. */
  async read({ more = false } = {}): Promise<void> {
    if (more) this.#wanted = this.list.length + 1; // a second click asks for nothing new
    if (this.#isReading) {
      this.#isStale = true;
      return;
    }
    this.#isReading = true;
    try {
      await this.#readPages(Math.max(this.list.length, this.#wanted));
      if (this.#isOver) return;
      this.problem = "";
      this.#see(this.list);
      this.#followProgress();
      await this.#readNextClaims();
    } catch (error) {
      this.problem = words(error);
    } finally {
      this.#isReading = false;
      this.isLoading = false;
      if (this.#isStale && !this.#isOver) this.refresh();
      this.#isStale = false;
    }
  }

  async #readPages(upTo: number): Promise<void> {
    const read = new Map<string, Outdial>(); // by id: what is created meanwhile moves the pages
    let after: string | null = null;
    let page: OutdialsQueryResult["outdials"];
    do {
      ({ outdials: page } = await ask(OutdialsQuery, { after, where: this.#where }));
      if (this.#isOver) return;
      for (const outdial of page.nodes) read.set(outdial.id, outdial);
      after = page.pageInfo.endCursor ?? null;
    } while (page.pageInfo.hasNextPage && read.size < Math.min(upTo, OUTDIALS_MAX));
    this.list = [...read.values()].slice(0, OUTDIALS_MAX);
    this.hasMore = page.pageInfo.hasNextPage && this.list.length < OUTDIALS_MAX;
    this.total = page.totalCount ?? null;
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

  /** Until when nothing of an outdial can be claimed, though targets wait; null if something can be, or nothing ever. */
  sleepsUntil({ id, state, progress }: Outdial, now: number): number | null {
    const next = this.#nextClaims.get(id);
    return state === "ACTIVE" && progress.idle > 0 && next && next > now ? next : null;
  }

  /** Whether targets wait of which none can be claimed as all is now: hours that never open, unknown time zones. */
  neverOpens({ id, state, progress }: Outdial): boolean {
    return state === "ACTIVE" && progress.idle > 0 && this.#nextClaims.get(id) === null;
  }

  async #readNextClaims(): Promise<void> {
    const ids = this.list.map((outdial) => outdial.id);
    if (!ids.length) return;
    const waiting = new Set(this.list.filter(({ state, progress }) => state === "ACTIVE" && progress.idle > 0).map((outdial) => outdial.id));
    try {
      const { nodes } = await ask(NextClaimsQuery, { ids });
      const known = nodes.flatMap((node): [string, number | null][] => {
        if (!node || !("nextClaimAt" in node)) return [];
        if (node.nextClaimAt) return [[node.id, Date.parse(node.nextClaimAt)]];
        return waiting.has(node.id) ? [[node.id, null]] : [];
      });
      this.#nextClaims = new Map(known);
    } catch (error) {
      this.problem = words(error);
    }
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
