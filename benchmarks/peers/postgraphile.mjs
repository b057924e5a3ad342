// PostGraphile, for `benchmarks.reading`: node postgraphile.mjs URL PORT POOL_SIZE. It makes its own schema of the
// tables, so it is asked with other documents, which name the customer. It verifies no tokens.
import { createServer } from "node:http";
import { postgraphile } from "postgraphile";
import { makePgService } from "postgraphile/adaptors/pg";
import { grafserv } from "postgraphile/grafserv/node";
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";
import { makeV4Preset } from "postgraphile/presets/v4";

const [url, port, poolSize] = process.argv.slice(2);
const preset = {
  extends: [
    PostGraphileAmberPreset,
    makeV4Preset({ simpleCollections: "omit", disableDefaultMutations: true, dynamicJson: true }),
  ],
  pgServices: [
    makePgService({
      connectionString: url,
      schemas: ["public"],
      pubsub: false,
      poolConfig: {
        max: Number(poolSize),
        options: "-c enable_seqscan=off -c enable_bitmapscan=off -c max_parallel_workers_per_gather=0 -c jit=off -c timezone=UTC",
      },
    }),
  ],
  grafserv: { port: Number(port), watch: false, graphiql: false, graphqlPath: "/graphql" },
  grafast: { explain: false },
};
const server = createServer();
await postgraphile(preset).createServ(grafserv).addTo(server);
server.listen(Number(port), "127.0.0.1");
