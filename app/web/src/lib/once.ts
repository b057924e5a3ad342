// Idempotency keys of one form: sent again after an answer was lost, the same input changes nothing twice.

/** A key that nobody else makes. */
export function newKey(): string {
  return `page-${crypto.getRandomValues(new Uint32Array(4)).join("-")}`; // randomUUID is not there without TLS
}

export class Once {
  #input = "";
  #key = "";

  /** The key for this input: the one of the last time if the input is the same, else a new one. */
  keyOf(input: unknown): string {
    const given = JSON.stringify(input);
    if (given !== this.#input) [this.#input, this.#key] = [given, newKey()];
    return this.#key;
  }
}
