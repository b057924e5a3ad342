// The rows of one outdial that a page shows, and how they are kept right while events arrive.
import { TargetEventsSubscription, TargetsQuery } from "./documents";
import { Activity, Lag } from "./activity";
import { ask, words } from "./api";
import { fold, reread, whereOf, type Change, type Filter, type Row, type Target } from "./fold";
import { socket } from "./socket.svelte";

const PAGE = 100;
/** As many of the newest are shown. A filter finds the others. */
export const ROWS_MAX = 500;
/** Changes that wait for the next frame; more of them, and all is read afresh. */
const WAITING_MAX = 20_000;
const REREAD_MS_MIN = 2_000;
const HIDDEN_FRAME_MS = 500;

export class Targets {
  rows = $state.raw<readonly Row[]>([]);
  /** How many match the filter besides these rows, as of the last reading; null if it is not known. */
  #beyond = $state<number | null>(null);
  /** How many match the filter; null until it is known. */
  readonly total = $derived(this.#beyond === null ? null : this.rows.length + this.#beyond);
  hasMore = $state(false);
  isLoading = $state(true);
  problem = $state("");
  lag = $state(0);
  /** Grows whenever events were folded in, so that what draws them looks again. */
  beat = $state(0);
  /** The number of events about a callback. */
  callbacks = $state(0);
  /** The next rows of the same outdial, such as those of another filter, count on in it. */
  readonly activity: Activity;

  readonly #outdial: string;
  readonly #filter: Filter;
  readonly #lag = new Lag();
  readonly #position: { outdialId: string; after: string | null };
  #waiting: Change[] = [];
  /** What came while the server was asked: its answer may be older. */
  #meanwhile: Change[] = [];
  #isScheduled = false;
  #isStale = false;
  #isReading = false;
  #lastRead = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #letGo: (() => void) | undefined;
  #isOver = false;

  constructor(outdial: string, filter: Filter, activity = new Activity()) {
    this.activity = activity;
    this.#outdial = outdial;
    this.#filter = filter;
    this.#position = { outdialId: outdial, after: null };
  }

  /** Read the first page, and follow what happens after it; if the reading fails, it is tried again. */
  async begin(): Promise<void> {
    await this.#read();
  }

  #follow(): void {
    if (this.#letGo || this.#isOver || this.#position.after === null) return;
    this.#letGo = socket.follow(TargetEventsSubscription, this.#position, {
      next: ({ targetEvents: batch }) => {
        this.#position.after = batch.cursor; // a reconnect begins here
        if (batch.gap) this.#stale();
        this.#take(batch.events);
      },
      failed: (message) => (this.problem = message),
    });
  }

  end(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#letGo?.();
  }

  async more(): Promise<void> {
    await this.#read(this.rows.length + PAGE);
  }

  /** Read what is shown once more, soon: somebody has changed something. */
  refresh(): void {
    this.#lastRead = 0;
    this.#stale();
  }

  // ------------------------------------------------------------ events

  #take(changes: readonly Change[]): void {
    const last = changes.at(-1);
    if (!last) return;
    this.#lag.see(last.occurredAt, Date.now());
    for (const change of changes) this.activity.add(change);
    this.callbacks += changes.filter(({ type }) => type === "CALLBACK").length;
    if (this.#isReading && this.#meanwhile.length <= WAITING_MAX) this.#meanwhile.push(...changes);
    if (this.#waiting.length + changes.length > WAITING_MAX) {
      this.#waiting = [];
      this.#stale();
    } else {
      this.#waiting.push(...changes);
    }
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    // No frame comes while the page is hidden.
    if (document.hidden) setTimeout(() => this.#apply(), HIDDEN_FRAME_MS);
    else requestAnimationFrame(() => this.#apply());
  }

  #apply(): void {
    this.#isScheduled = false;
    if (this.#isOver) return;
    const folded = fold(this.rows, this.#waiting, this.#filter, this.hasMore);
    this.#waiting = [];
    this.rows = folded.rows;
    this.lag = this.#lag.milliseconds;
    this.beat += 1;
    if (folded.stale) this.#stale();
  }

  #stale(): void {
    this.#isStale = true;
    if (this.#isReading || this.#isOver) return;
    clearTimeout(this.#timer);
    const wait = Math.max(0, this.#lastRead + REREAD_MS_MIN - Date.now());
    this.#timer = setTimeout(() => void this.#read(), wait);
  }

  // ------------------------------------------------------------ reading

  async #read(upTo = Math.max(this.rows.length, PAGE)): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    this.#isStale = false;
    this.#meanwhile = [];
    try {
      await this.#readPages(Math.min(upTo, ROWS_MAX));
      this.problem = "";
      this.#follow();
    } catch (error) {
      this.problem = words(error);
      this.#isStale = true;
    } finally {
      this.#isReading = false;
      this.isLoading = false;
      this.#lastRead = Date.now();
    }
    if (this.#isStale) this.#stale();
  }

  async #readPages(upTo: number): Promise<void> {
    const where = whereOf(this.#filter);
    const read: Target[] = [];
    let last = null as Page["targets"] | null;
    do {
      const after: string | null = last?.pageInfo.endCursor ?? null;
      const { outdial }: { outdial?: Page | null } = await ask(TargetsQuery, { id: this.#outdial, first: PAGE, after, where });
      if (!outdial || this.#isOver) return;
      // Only the first reading says where to begin: what was seen since is not to be missed.
      this.#position.after ??= outdial.eventCursor;
      last = outdial.targets;
      read.push(...last.nodes);
    } while (last.pageInfo.hasNextPage && read.length < upTo);
    const { totalCount, pageInfo: { hasNextPage: hasMore } } = last;
    const folded = fold(reread(read, this.rows), this.#meanwhile, this.#filter, hasMore);
    this.rows = folded.rows;
    this.hasMore = hasMore;
    this.#beyond = typeof totalCount === "number" ? Math.max(0, totalCount - read.length) : null;
    this.#isStale ||= folded.stale || this.#meanwhile.length > WAITING_MAX;
    this.beat += 1;
  }
}

interface Page {
  eventCursor: string;
  targets: {
    totalCount?: number | null;
    pageInfo: { hasNextPage: boolean; endCursor?: string | null };
    nodes: Target[];
  };
}
