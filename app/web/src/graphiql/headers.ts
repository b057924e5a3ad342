// What a request of GraphiQL carries. Pure.

/** The headers of the editor, and the session unless they have a token of their own. */
export function carried(session: Record<string, string>, edited: Record<string, unknown> = {}): Record<string, string> {
  const given = Object.entries(edited).map(([name, value]) => [name, String(value)] as const);
  const isEmpty = ([name, value]: readonly [string, string]): boolean => name.toLowerCase() === "authorization" && /^(bearer)?\s*$/i.test(value.trim());
  const headers = given.filter((header) => !isEmpty(header));
  const hasToken = headers.some(([name]) => name.toLowerCase() === "authorization");
  return { ...(hasToken ? {} : session), ...Object.fromEntries(headers) };
}
