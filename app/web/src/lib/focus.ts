// Where the keyboard is when something goes that had the focus.

/**
 * Give the focus back once a dialog is gone: to what opened it, or else to the first element of these selectors that
 * is there. Nothing is done where something else has taken the focus meanwhile.
 */
export function giveBack(opener: Element | null, ...selectors: string[]): void {
  if (document.activeElement && document.activeElement !== document.body) return;
  const places = [opener?.isConnected ? opener : null, ...[...selectors, "#main"].map((selector) => document.querySelector(selector))];
  for (const place of places) {
    if (!(place instanceof HTMLElement) || place === document.body) continue;
    place.focus();
    if (document.activeElement === place) return; // what is disabled takes none
  }
}

/** For what appears under the reader's hands. */
export function focused(element: HTMLElement): void {
  element.focus();
}
