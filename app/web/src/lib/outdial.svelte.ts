// One outdial, kept live.
import { OutdialQuery, ProgressSubscription } from "./documents";
import { ask, words } from "./api";
import { Rate, type Outdial } from "./outdials.svelte";
import { socket } from "./socket.svelte";

export class OneOutdial {
  value = $state.raw<Outdial | null>(null);
  /** There is none of that id, or no more. */
  isGone = $state(false);
  problem = $state("");
  readonly rate = new Rate();
  readonly #id: string;
  #letGo: (() => void) | undefined;
  #isOver = false;

  constructor(id: string) {
    this.#id = id;
  }

  async begin(): Promise<void> {
    try {
      const { outdial } = await ask(OutdialQuery, { id: this.#id });
      if (this.#isOver) return;
      if (!outdial) this.isGone = true;
      else this.#take(outdial);
    } catch (error) {
      this.problem = words(error);
    }
    if (this.isGone || this.#isOver) return;
    this.#letGo = socket.follow(ProgressSubscription, { ids: [this.#id] }, {
      next: ({ outdialProgress: { outdials } }) => {
        for (const outdial of outdials) this.#take(outdial);
      },
      complete: () => (this.isGone = !this.#isOver),
      failed: (message) => (this.problem = message),
    });
  }

  end(): void {
    this.#isOver = true;
    this.#letGo?.();
  }

  #take(outdial: Outdial): void {
    this.problem = "";
    this.value = outdial;
    this.rate.see(outdial.progress.attempts, Date.now());
  }
}
