// The do-not-call list: read in pages, changed, and sent as a file.
import type { DestinationType, SuppressionFieldsFragment } from "../generated/graphql";
import { accepted, ask, Problem, words } from "./api";
import { base } from "./base";
import { AddSuppressionsMutation, RemoveSuppressionsMutation, SuppressionsQuery } from "./documents";
import { session } from "./session.svelte";

export type Suppression = SuppressionFieldsFragment;

export interface Report {
  counts: { read: number; added: number; unchanged: number; expired: number; rejected: number };
  warnings: string[];
  rejects: { line_number: number; message: string }[];
}

/** As many as one call takes. */
export const ADDRESSES_MAX = 1_000;

/** The addresses in a text: one on each line. */
export function addresses(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);
}

export class Suppressions {
  list = $state.raw<readonly Suppression[]>([]);
  total = $state<number | null>(null);
  next = $state<string | null>(null);
  isLoading = $state(true);
  problem = $state("");
  readonly #address: string;
  readonly #type: DestinationType | null;
  #isOver = false;

  /** Without a type, the server reads the address as it looks: as a number, or as an e-mail or SIP address. */
  constructor(address = "", type: DestinationType | null = null) {
    this.#address = address;
    this.#type = type;
  }

  end(): void {
    this.#isOver = true;
  }

  /** Read the first page; with `more`, the page after those that are shown. */
  async read({ more = false } = {}): Promise<void> {
    try {
      const where = this.#address ? { target: this.#address, type: this.#type } : null;
      const { suppressions: page } = await ask(SuppressionsQuery, { after: more ? this.next : null, where });
      if (this.#isOver) return;
      const known = new Set(page.nodes.map((one) => one.id));
      this.list = more ? [...this.list.filter((one) => !known.has(one.id)), ...page.nodes] : page.nodes;
      this.next = page.pageInfo.hasNextPage ? (page.pageInfo.endCursor ?? null) : null;
      this.total = page.totalCount ?? null;
      this.problem = "";
    } catch (error) {
      this.problem = words(error);
    } finally {
      this.isLoading = false;
    }
  }

  async remove(one: Suppression): Promise<void> {
    try {
      accepted((await ask(RemoveSuppressionsMutation, { input: { ids: [one.id] } })).removeSuppressions);
    } catch (error) {
      this.problem = words(error);
      return;
    }
    await this.read();
  }
}

export async function add(
  lines: readonly string[],
  given: { type: DestinationType; reason: string; expiresAt: string | null },
): Promise<void> {
  const suppressions = lines.map((target) => ({ target, ...given }));
  accepted((await ask(AddSuppressionsMutation, { input: { suppressions } })).addSuppressions);
}

/** Send a file of any length. The server answers when it has read it. */
export async function send(file: File): Promise<Report> {
  const name = file.name.toLowerCase().replace(/\.gz$/, "");
  let response: Response;
  try {
    response = await fetch(`${base}v1.0/suppressions/import`, {
      method: "POST",
      headers: { ...session.headers(), "Content-Type": /\.(ndjson|jsonl)$/.test(name) ? "application/x-ndjson" : "text/csv" },
      body: file,
    });
  } catch {
    throw new Problem("The connection broke. Import the file again: what is on the list already stays.");
  }
  const answer = (await response.json().catch(() => ({}))) as Partial<Report> & { error?: { message?: string } };
  if (response.ok && answer.counts) return { counts: answer.counts, warnings: answer.warnings ?? [], rejects: answer.rejects ?? [] };
  throw new Problem(answer.error?.message ?? `The server answered ${response.status}.`);
}
