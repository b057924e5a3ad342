// Mercurius with graphql-jit, for `benchmarks.reading`: node mercurius.mjs URL PORT POOL_SIZE SECRET.
// The part of the schema that is asked for, with a loader that reads the targets of many outdials in one statement.
import { createHmac, timingSafeEqual } from "node:crypto";
import DataLoader from "dataloader";
import Fastify from "fastify";
import mercurius from "mercurius";
import pg from "pg";

const [url, port, poolSize, secret] = process.argv.slice(2);
const TOKENS_MAX = 10_000;

// instants as text with six digits, as PostgreSQL sends them but for the digits that are 0
pg.types.setTypeParser(1184, (text) => `${text.slice(0, 10)}T${text.slice(11, -3).padEnd(15, "0")}Z`);
const options =
  "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_bitmapscan=off -c max_parallel_workers_per_gather=0 -c jit=off -c timezone=UTC";
const pool = new pg.Pool({ connectionString: url, max: Number(poolSize), options });

const DESTINATIONS = [0, 1, 2, 3, 4];
const schema = `
  scalar DateTime
  type Destination { type: String! target: String! targetName: String! name: String! detail: String! }
  type PageInfo { hasNextPage: Boolean! endCursor: String }
  type OutdialTarget {
    id: ID! outdialId: ID! key: String name: String! detail: String! data: String! status: String! doneReason: String
    priority: Int! maxTryCounts: [Int!] ${DESTINATIONS.map((n) => `destination${n}: Destination tryCount${n}: Int!`).join(" ")}
    nextTryAt: DateTime version: Int! tmCreate: DateTime! tmUpdate: DateTime! tmDelete: DateTime
  }
  type Targets { nodes: [OutdialTarget!]! pageInfo: PageInfo! }
  input TargetFilter { key: String destination: String }
  type DialPolicy { maxTryCounts: [Int!]! retryIntervalSeconds: Int! leaseSeconds: Int! onUnconfirmed: String! }
  type Outdial {
    id: ID! campaignId: ID name: String! detail: String! data: String! state: String! dialPolicy: DialPolicy!
    targets(first: Int!, after: String, where: TargetFilter): Targets!
    tmCreate: DateTime! tmUpdate: DateTime tmDelete: DateTime
  }
  type Outdials { nodes: [Outdial!]! pageInfo: PageInfo! }
  type Query { outdial(id: ID!): Outdial outdials(first: Int!): Outdials! }`;

const OUTDIAL = `id, campaign_id "campaignId", name, detail, data, state, max_try_counts "maxTryCounts",
  retry_interval_seconds "retryIntervalSeconds", lease_seconds "leaseSeconds", on_unconfirmed "onUnconfirmed",
  tm_create "tmCreate", tm_update "tmUpdate", tm_delete "tmDelete"`;
const TARGET = `id, outdial_id "outdialId", key, name, detail, data, status, done_reason "doneReason", priority,
  max_try_counts "maxTryCounts", ${DESTINATIONS.map((n) => `destination_${n} "destination${n}", try_count_${n} "tryCount${n}"`).join(", ")},
  next_try_at "nextTryAt", version, tm_create "tmCreate", tm_update "tmUpdate", tm_delete "tmDelete"`;
const ORDER = "ORDER BY tm_create DESC, id DESC";
const WITH_ADDRESS = DESTINATIONS.map(
  (n) => `SELECT id FROM target WHERE customer_id = $1 AND tm_delete IS NULL AND destination_${n} IS NOT NULL
    AND (destination_${n} ->> 'target') = $3`,
).join(" UNION ALL ");

const query = async (name, text, values) => (await pool.query({ name, text, values })).rows;

function cursor(row) {
  const packed = Buffer.alloc(25);
  packed[0] = 1;
  const milliseconds = Date.parse(`${row.tmCreate.slice(0, 23)}Z`);
  packed.writeBigInt64BE(BigInt(milliseconds) * 1000n + BigInt(row.tmCreate.slice(23, 26)), 1);
  packed.write(row.id.replaceAll("-", ""), 9, "hex");
  return packed.toString("base64url");
}

function place(text) {
  const packed = Buffer.from(text, "base64url");
  const microseconds = packed.readBigInt64BE(1);
  const start = new Date(Number(microseconds / 1000n)).toISOString().slice(0, 23);
  return [`${start}${String(microseconds % 1000n).padStart(3, "0")}Z`, packed.toString("hex", 9)];
}

function page(rows, first) {
  const nodes = rows.slice(0, first);
  return { nodes, pageInfo: { hasNextPage: rows.length > first, endCursor: nodes.length ? cursor(nodes.at(-1)) : null } };
}

// the targets of one outdial, by what is asked for
async function targets(customer, { id, first, after, where }) {
  const values = [customer, id];
  let [name, condition] = ["page", ""];
  if (where?.key != null) {
    [name, condition] = ["key", "AND key = $3"];
    values.push(where.key);
  } else if (where?.destination != null) {
    [name, condition] = ["address", `AND id = ANY(ARRAY(${WITH_ADDRESS}))`];
    values.push(where.destination);
  } else if (after != null) {
    [name, condition] = ["after", "AND (tm_create, id) < ($3, $4)"];
    values.push(...place(after));
  }
  return query(
    `${name} ${first}`,
    `SELECT ${TARGET} FROM target WHERE customer_id = $1 AND outdial_id = $2 AND tm_delete IS NULL ${condition}
     ${ORDER} LIMIT ${first + 1}`,
    values,
  );
}

const loaderOf = (customer) =>
  new DataLoader(
    async (keys) => {
      if (keys.length === 1) return [await targets(customer, keys[0])];
      const first = keys[0].first;
      if (keys.some((key) => key.first !== first || key.after != null || key.where != null)) {
        return Promise.all(keys.map((key) => targets(customer, key)));
      }
      const rows = await query(
        `pages ${first}`,
        `SELECT page.* FROM unnest($2::uuid[]) AS parent(id) CROSS JOIN LATERAL (
           SELECT ${TARGET} FROM target
           WHERE customer_id = $1 AND outdial_id = parent.id AND tm_delete IS NULL ${ORDER} LIMIT ${first + 1}
         ) AS page`,
        [customer, keys.map((key) => key.id)],
      );
      const byOutdial = new Map(keys.map((key) => [key.id, []]));
      for (const row of rows) byOutdial.get(row.outdialId).push(row);
      return keys.map((key) => byOutdial.get(key.id));
    },
    { cache: false },
  );

const resolvers = {
  Destination: { targetName: (stored) => stored.target_name },
  Outdial: {
    dialPolicy: (outdial) => outdial,
    targets: async (outdial, given, context) =>
      page(await context.loader.load({ id: outdial.id, ...given }), given.first),
  },
  Query: {
    outdial: async (_, { id }, { customer }) =>
      (await query("outdial", `SELECT ${OUTDIAL} FROM outdial WHERE customer_id = $1 AND id = $2 AND tm_delete IS NULL`, [customer, id]))[0] ?? null,
    outdials: async (_, { first }, { customer }) =>
      page(
        await query(
          `outdials ${first}`,
          `SELECT ${OUTDIAL} FROM outdial WHERE customer_id = $1 AND tm_delete IS NULL ${ORDER} LIMIT ${first + 1}`,
          [customer],
        ),
        first,
      ),
  },
};

// verified once, then remembered until it expires
const verified = new Map();
function customerOf(header) {
  const known = verified.get(header);
  if (known !== undefined && known.exp > Date.now() / 1000) return known.customer_id;
  const [head, body, signature] = header.slice("Bearer ".length).split(".");
  const expected = createHmac("sha256", secret).update(`${head}.${body}`).digest();
  if (!timingSafeEqual(expected, Buffer.from(signature, "base64url"))) throw new Error("The signature is wrong.");
  const claims = JSON.parse(Buffer.from(body, "base64url"));
  if (claims.exp <= Date.now() / 1000) throw new Error("The token has expired.");
  if (verified.size >= TOKENS_MAX) verified.clear();
  verified.set(header, claims);
  return claims.customer_id;
}

const app = Fastify();
app.register(mercurius, {
  schema,
  resolvers,
  jit: 1,
  path: "/graphql",
  context: (request) => {
    const customer = customerOf(request.headers.authorization);
    return { customer, loader: loaderOf(customer) };
  },
});
await app.listen({ port: Number(port), host: "127.0.0.1" });
