import type { CodegenConfig } from "@graphql-codegen/cli";

// Types of what is asked for, from the server's own schema. The output is in git; `npm run check` says where it is old.
const config: CodegenConfig = {
  schema: "../../schema.graphql",
  documents: ["src/lib/documents.ts"],
  ignoreNoDocuments: false,
  generates: {
    "src/generated/": {
      preset: "client",
      presetConfig: { fragmentMasking: false },
      config: {
        documentMode: "string",
        enumsAsTypes: true,
        useTypeImports: true,
        strictScalars: true,
        scalars: { Date: "string", DateTime: "string", LocalTime: "string", EventCursor: "string" },
      },
    },
  },
};

export default config;
