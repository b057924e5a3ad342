// The token in what people paste. Pure.

/** It may be a bare token, one broken into lines by a mail, a header, or the whole link that `outdial token --link` prints. */
export function tokenIn(text: string): string {
  const linked = /[#&]token=([^&\s]*)/.exec(text);
  if (linked) return decoded(linked[1]!);
  return text.trim().replace(/^(?:Authorization:\s*)?Bearer\s+/i, "").replace(/\s+/g, "");
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // no link of ours; the server says what is wrong with it
  }
}
