// Apollo Client's cache for Outdial: pages of one list join, and of two versions of a target the newer one stays.
import { InMemoryCache, gql } from "@apollo/client";
import { relayStylePagination } from "@apollo/client/utilities";

const typePolicies = {
  // The arguments that make another list; first, after, last and before only say which part. Query edges, not nodes.
  Query: { fields: { outdials: relayStylePagination(["where"]) } },
  Outdial: {
    fields: {
      targets: relayStylePagination(["where", "orderBy"]),
      attempts: relayStylePagination(["where"]),
    },
  },
  OutdialTarget: { fields: { attempts: relayStylePagination() } },
};

// A query's answer may arrive after an event that is newer than it. So wherever you read targets, select id and version.
class OutdialCache extends InMemoryCache {
  write(options) {
    const newer = this.newerThan(options.result);
    const written = super.write({ ...options, broadcast: false });
    for (const { id, known } of newer) {
      const restore = (value, { storeFieldName: name }) => (name in known ? known[name] : value);
      this.modify({ id, broadcast: false, fields: restore });
    }
    if (options.broadcast !== false) this.broadcastWatches();
    return written;
  }

  // The targets of a result that the cache knows in a newer version.
  newerThan(value) {
    if (Array.isArray(value)) return value.flatMap((item) => this.newerThan(item));
    if (value === null || typeof value !== "object") return [];
    const inner = Object.values(value).flatMap((item) => this.newerThan(item));
    if (value.__typename !== "OutdialTarget") return inner;
    const id = this.identify(value);
    const known = {};
    const keep = (field, { fieldName, storeFieldName }) => {
      if (fieldName !== "attempts") known[storeFieldName] = field; // pages of attempts join by themselves
      return field;
    };
    this.modify({ id, broadcast: false, fields: keep });
    return known.version > value.version ? [{ id, known }, ...inner] : inner;
  }
}

export const createCache = () => new OutdialCache({ typePolicies });

// What a batch of targetEvents says, in the cache.
export function applyEvents(cache, events) {
  for (const event of events.filter(({ targetId }) => targetId)) {
    const [tryCount0, tryCount1, tryCount2, tryCount3, tryCount4] = event.tryCounts;
    cache.writeFragment({
      id: cache.identify({ __typename: "OutdialTarget", id: event.targetId }),
      fragment: gql`
        fragment Event on OutdialTarget {
          id status doneReason nextTryAt version tryCount0 tryCount1 tryCount2 tryCount3 tryCount4
        }
      `,
      data: {
        __typename: "OutdialTarget", id: event.targetId,
        status: event.status, doneReason: event.doneReason, nextTryAt: event.nextTryAt, version: event.version,
        tryCount0, tryCount1, tryCount2, tryCount3, tryCount4,
      },
    });
  }
}
