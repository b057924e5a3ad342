// Keys without a modifier, which the reader may switch off: a voice that is typed, or a hand that slips, presses them too.

const STORED = "outdial.keys";

class Keys {
  isOn = $state(stored() !== "off");

  /** Remembered by the browser if it stores anything, and else until the page is left. */
  set(isOn: boolean): void {
    this.isOn = isOn;
    try {
      localStorage.setItem(STORED, isOn ? "on" : "off");
    } catch (error) {
      console.warn("The browser does not store whether keys are on", error);
    }
  }

  /** Whether the key was pressed for the page: not for what is typed, for the browser, or for a dialog. */
  isMeant(key: string, event: KeyboardEvent): boolean {
    if (!this.isOn || event.key !== key) return false;
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.repeat) return false;
    if (document.querySelector("dialog[open]")) return false;
    return !(event.target instanceof HTMLElement && event.target.closest("input, textarea, select, [contenteditable]"));
  }
}

function stored(): string | null {
  try {
    return localStorage.getItem(STORED);
  } catch {
    return null; // the browser stores nothing for this page, so the keys are on
  }
}

export const keys = new Keys();
