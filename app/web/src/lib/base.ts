// Where the server is: behind a reverse proxy, perhaps below a path.

/** The path below which all of the server's addresses lie. It ends with a slash; the server writes it into the page. */
export const base = "document" in globalThis ? document.querySelector<HTMLMetaElement>("meta[name=base-path]")!.content : "/";
