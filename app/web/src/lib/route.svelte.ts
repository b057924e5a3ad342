// Where the reader is, by the address bar: a link shows the same to everyone who may see it.
import type { OutdialState } from "../generated/graphql";
import { base } from "./base";
import type { Filter } from "./fold";
import { names, OUTDIAL, REASON, STATUS } from "./words";

export interface Place extends Filter {
  /** A page of its own; null for the lists and what is in them. */
  page: typeof PAGES[number] | null;
  outdial: string | null;
  target: string | null;
  /** Of the list of outdials. */
  name: string;
  state: OutdialState | null;
  campaign: string;
}

/** Names of the API, which an address has in lower case. */
const LOWERED = new Set<string>(["state", "status", "reason"]);
const PAGES = ["do-not-call", "result-codes"] as const;

export const UNFILTERED: Filter = { status: null, reason: null, callback: false, address: "", key: "" };

export function isFiltered(filter: Filter): boolean {
  return Boolean(filter.status ?? filter.reason) || filter.callback || filter.address !== "" || filter.key !== "";
}

export function read(search: string): Place {
  const given = new URLSearchParams(search);
  const among = <T extends string>(name: string, values: readonly T[]): T | null =>
    values.find((value) => value.toLowerCase() === given.get(name)?.toLowerCase()) ?? null;
  return {
    page: among("page", PAGES),
    outdial: given.get("outdial"),
    target: given.get("target"),
    name: given.get("name") ?? "",
    state: among("state", names(OUTDIAL)),
    campaign: given.get("campaign") ?? "",
    status: among("status", names(STATUS)),
    reason: among("reason", names(REASON)),
    callback: given.get("callback") === "yes",
    address: given.get("address") ?? "",
    key: given.get("key") ?? "",
  };
}

/** The address of a place; what is empty is left out. */
export function written(place: Partial<Place>): string {
  const order = ["page", "outdial", "name", "state", "campaign", "status", "reason", "callback", "address", "key", "target"] as const;
  const given = new URLSearchParams();
  for (const name of order) {
    const value = place[name];
    if (value) given.set(name, value === true ? "yes" : LOWERED.has(name) ? value.toLowerCase() : value);
  }
  const text = given.toString();
  return text ? `${base}?${text}` : base;
}

class Route {
  place = $state.raw<Place>(read(location.search));

  constructor() {
    addEventListener("popstate", () => (this.place = read(location.search)));
  }

  /** Go there, as a link does. */
  go(place: Partial<Place>): void {
    history.pushState(null, "", written(place));
    this.place = read(location.search);
  }

  /** Change a part of where one is; `replace` leaves no step to go back to. */
  change(part: Partial<Place>, { replace = false } = {}): void {
    const address = written({ ...this.place, ...part });
    if (replace) history.replaceState(null, "", address);
    else history.pushState(null, "", address);
    this.place = read(location.search);
  }
}

export const route = new Route();

/** A link's click that the page follows itself, unless the reader wants a new tab. */
export function follow(event: MouseEvent, place: Partial<Place>): void {
  if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  route.go(place);
}
