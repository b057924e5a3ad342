import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig, type Plugin } from "vite";

/** Beside each text file its gzip, so that the server has nothing to compress. */
function gzipped(): Plugin {
  return {
    name: "gzipped",
    apply: "build",
    writeBundle({ dir = "dist" }, bundle) {
      for (const [name, part] of Object.entries(bundle)) {
        if (!/\.(js|css)$/.test(name)) continue;
        writeFileSync(join(dir, `${name}.gz`), gzipSync(part.type === "chunk" ? part.code : part.source, { level: 9 }));
      }
    },
  };
}

// Two pages: the dashboard, served at /, and GraphiQL, served at /graphql. What they load is under /web/, by names that
// change with the content. They name it relative to themselves, and the server writes in where it is. The output is not in git: the package build makes it.
export default defineConfig({
  base: "./",
  plugins: [svelte(), gzipped()],
  build: {
    outDir: "dist",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 8_000,
    modulePreload: { polyfill: false },
    rollupOptions: {
      input: ["index.html", "graphiql.html"],
      onwarn(warning, warn) {
        if (warning.code !== "MODULE_LEVEL_DIRECTIVE") warn(warning); // "use client", which says nothing here
      },
    },
  },
  worker: { format: "es" },
});
