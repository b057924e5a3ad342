import { defineConfig } from "vite";

// The page is served at /graphql, what it loads under /graphiql/. The output is not in git: the package build makes it.
export default defineConfig({
  base: "/graphiql/",
  build: { outDir: "dist", emptyOutDir: true, assetsInlineLimit: 0, chunkSizeWarningLimit: 8_000 },
  worker: { format: "es" },
});
