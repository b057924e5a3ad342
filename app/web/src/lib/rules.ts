// Retry rules of a policy as people set and read them: what happens after a call that reached nobody. Pure.
import type { AttemptState, Disposition, PolicyQuery, RetryAction } from "../generated/graphql";
import { duration, inUnits, MINUTE, seconds, type Amount } from "./duration";
import { ATTEMPT, DISPOSITION, names } from "./words";

export type Rule = NonNullable<PolicyQuery["outdial"]>["dialPolicy"]["retryRules"][number];

/** A rule whose wait is an amount of a unit. */
export interface RuleParts extends Omit<Rule, "fromNth" | "waitSeconds" | "jitterPercent">, Amount {
  /** Null while nothing is entered, as the other numbers. */
  fromNth: number | null;
  jitterPercent: number | null;
}

export const RULES_MAX = 20;
export const WAIT_SECONDS_MAX = 2_592_000;
/** The unit of a wait that is not given. */
export const AS_USUAL = 0;
export const DESTINATIONS = [0, 1, 2, 3, 4];

export const ACTION: Record<RetryAction, string> = {
  RETRY: "Call again",
  NEXT_DESTINATION: "Call the next destination",
  FINISH: "Finish the target",
};

/** Results that a rule can name. The others finish a target whatever a rule says. */
export const RESULTS: Disposition[] = names(DISPOSITION).filter((one) => one !== "ANSWERED" && one !== "DO_NOT_CALL");

/** What a rule can say of how an attempt ended, besides its result: states, separated by a space. */
export const ENDS: Record<string, string> = {
  COMPLETED: "Any result",
  EXPIRED: ATTEMPT.EXPIRED,
  UNCONFIRMED: ATTEMPT.UNCONFIRMED,
  "EXPIRED UNCONFIRMED": "No result",
};

export function parts({ waitSeconds, ...rule }: Rule): RuleParts {
  return { ...rule, ...(waitSeconds === null || waitSeconds === undefined ? { amount: null, unit: AS_USUAL } : inUnits(waitSeconds)) };
}

export function whole({ amount, unit, ...rule }: RuleParts): Rule {
  const isOver = rule.action === "FINISH";
  return {
    ...rule,
    fromNth: rule.fromNth ?? 1,
    waitSeconds: isOver || unit === AS_USUAL ? null : seconds({ amount, unit }),
    jitterPercent: isOver ? 0 : (rule.jitterPercent ?? 0),
  };
}

/** What somebody changes who adds a rule. */
export function blank(): RuleParts {
  return { states: [], dispositions: ["BUSY"], codes: [], destinations: [], fromNth: 1, action: "RETRY", amount: 2, unit: MINUTE, jitterPercent: 0 };
}

const ORDINALS = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"];

/** "third", "21st" */
export function ordinal(number: number): string {
  const word = ORDINALS[number - 1];
  if (word) return word;
  const ending = { one: "st", two: "nd", few: "rd" }[new Intl.PluralRules("en", { type: "ordinal" }).select(number) as string];
  return `${String(number)}${ending ?? "th"}`;
}

/** "A, B or C" */
function either(words: readonly string[]): string {
  return words.length > 1 ? `${words.slice(0, -1).join(", ")} or ${words.at(-1) ?? ""}` : (words[0] ?? "");
}

const lowered = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1);
const raised = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** How attempts ended that have these states: "any result". */
export function ended(states: readonly AttemptState[]): string {
  return ENDS[[...states].sort().join(" ")] ?? either(states.map((state, place) => (place ? lowered(ATTEMPT[state]) : ATTEMPT[state])));
}

/** "Busy or no answer at destination 1, with code X, from the third time on" */
function matched({ states, dispositions, codes, destinations, fromNth }: RuleParts): string {
  const ends = [either(dispositions.map((one) => lowered(DISPOSITION[one]))), states.length ? lowered(ended(states)) : ""].filter(Boolean);
  const said = [raised(ends.join(" and ") || "whatever the result")];
  if (codes.length) said.push(`with code ${either(codes)}`);
  if (destinations.length) said.push(`at destination ${either([...destinations].sort().map((index) => String(index + 1)))}`);
  const when = fromNth === null ? ", from the … time on" : fromNth > 1 ? `, from the ${ordinal(fromNth)} time on` : "";
  return said.join(" ") + when;
}

/** "again in 2 minutes, up to 50% later by chance" */
function done({ action, amount, unit, jitterPercent }: RuleParts): string {
  if (action === "FINISH") return "finish";
  const what = action === "RETRY" ? "again" : "the next destination";
  const usual = action === "RETRY" ? " after the usual wait" : " at once";
  const wait = unit === AS_USUAL ? usual : amount === 0 ? " at once" : ` in ${duration({ amount, unit })}`;
  const chance = jitterPercent && wait !== " at once" ? `, up to ${String(jitterPercent)}% later by chance` : "";
  return what + wait + chance;
}

/** "Busy, from the third time on: again in 1 hour." */
export function spoken(rule: RuleParts): string {
  return `${matched(rule)}: ${done(rule)}.`;
}

/** Of a rule that never decides: the place of the rule before it that always does. Null: it may decide. */
export function hiddenBy(rules: readonly RuleParts[], place: number): number | null {
  const rule = rules[place];
  const before = rule ? rules.slice(0, place).findIndex((one) => one.fromNth === 1 && covers(one, rule)) : -1;
  return before < 0 ? null : before;
}

/** Whether each attempt that matches the second rule matches the first. */
function covers(one: RuleParts, other: RuleParts): boolean {
  const within = <T>(outer: readonly T[], inner: readonly T[]): boolean => !outer.length || (inner.length > 0 && inner.every((item) => outer.includes(item)));
  return within(one.states, other.states) && within(one.dispositions, other.dispositions) && within(one.codes, other.codes) && within(one.destinations, other.destinations);
}
