// GraphiQL keeps its tabs and its history in local storage, headers and all. The headers hold the token.

/** A storage that forgets what stands under `headers`, at any depth of what is kept. */
export function withoutHeaders(storage: Storage): Storage {
  return {
    get length() {
      return storage.length;
    },
    clear: () => storage.clear(),
    getItem: (name) => storage.getItem(name),
    key: (index) => storage.key(index),
    removeItem: (name) => storage.removeItem(name),
    setItem: (name, value) => {
      if (!/headers$/i.test(name)) storage.setItem(name, stripped(value));
    },
  };
}

function stripped(value: string): string {
  try {
    return JSON.stringify(JSON.parse(value), (name, part: unknown) => (name === "headers" ? undefined : part));
  } catch {
    return value; // no JSON: the text of an editor
  }
}
