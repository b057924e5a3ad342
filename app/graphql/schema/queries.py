"""Query: all that can be read at once."""

from typing import Annotated

import strawberry

from app import auth, codes, outdials, rates, records, suppressions
from app.auth import Scope
from app.errors import BadUserInput
from app.graphql.schema.codes import ResultCode
from app.graphql.schema.connections import After, Before, Connection, CountedPage, First, Last, created_cursor, request
from app.graphql.schema.context import Info
from app.graphql.schema.fields import at_most, given, parse_id, query
from app.graphql.schema.filters import OutdialFilter, SuppressionFilter
from app.graphql.schema.stats import From, GroupBy, InBuckets, InZone, Stats, To, requested
from app.graphql.schema.types import ImportJob, Node, Outdial, OutdialTarget, RateLimit, Suppression, Viewer
from app.stats import Stats as Summed
from app.stats import of_campaign, of_customer

NODES_MAX = 100


@strawberry.type(description="Reads. All of them return data of the viewer's customer only.")
class Query:
    @query(None, Viewer, "The token's customer and permissions.")
    async def viewer(self, info: Info) -> auth.Viewer:
        return info.context.viewer

    @query(
        None,
        RateLimit,
        "The viewer's rate limit, as the server that answers knows it: other servers may have spent more.",
    )
    async def rate_limit(self, info: Info) -> rates.State:
        return info.context.limiter.state(info.context.viewer.customer_id)

    @query(
        Scope.READ, Node | None, "Returns an object by its id. Null if it does not exist or the viewer cannot see it."
    )
    async def node(
        self,
        info: Info,
        node_id: Annotated[strawberry.ID, strawberry.argument(name="id", description="The object's id.")],
    ) -> records.Outdial | records.Target | records.Attempt | records.ImportJob | records.Suppression | None:
        return await info.context.loaders.nodes.load(parse_id(node_id))

    @query(
        Scope.READ,
        list[Node | None],
        "Returns up to 100 objects by their ids, in the same order. Null for each one that does not exist or that the "
        "viewer cannot see.",
    )
    async def nodes(
        self,
        info: Info,
        ids: Annotated[
            list[strawberry.ID], strawberry.argument(description="The objects' ids.", metadata=at_most(NODES_MAX))
        ],
    ) -> list[records.Outdial | records.Target | records.Attempt | records.ImportJob | records.Suppression | None]:
        if len(ids) > NODES_MAX:
            raise BadUserInput(f"nodes takes at most {NODES_MAX} ids.")
        return await info.context.loaders.nodes.load_many([parse_id(node_id) for node_id in ids])

    @query(Scope.READ, Outdial | None, "Returns an outdial by its id. Null if it does not exist or is deleted.")
    async def outdial(
        self,
        info: Info,
        outdial_id: Annotated[strawberry.ID, strawberry.argument(name="id", description="The outdial's id.")],
    ) -> records.Outdial | None:
        return await info.context.loaders.outdials.load(parse_id(outdial_id))

    @query(Scope.READ, Connection[Outdial], "Returns the viewer's outdials without deleted ones, newest first.")
    async def outdials(
        self,
        info: Info,
        first: First = strawberry.UNSET,
        after: After = strawberry.UNSET,
        last: Last = strawberry.UNSET,
        before: Before = strawberry.UNSET,
        which: Annotated[
            OutdialFilter | None, strawberry.argument(name="where", description="Only the outdials that match.")
        ] = strawberry.UNSET,
    ) -> CountedPage[records.Outdial]:
        viewer = info.context.viewer
        where = which.where() if which else records.OutdialFilter()
        page = await outdials.page(viewer, request(first, after, last, before), where=where)
        return CountedPage(page, created_cursor, lambda: outdials.count(viewer, where=where))

    @query(Scope.READ, OutdialTarget | None, "Returns a target by its id. Null if it does not exist or is deleted.")
    async def target(
        self,
        info: Info,
        target_id: Annotated[strawberry.ID, strawberry.argument(name="id", description="The target's id.")],
    ) -> records.Target | None:
        return await info.context.loaders.targets.load(parse_id(target_id))

    @query(Scope.READ, ImportJob | None, "Returns an import by its id. Null if it does not exist.")
    async def import_job(
        self,
        info: Info,
        import_id: Annotated[strawberry.ID, strawberry.argument(name="id", description="The import's id.")],
    ) -> records.ImportJob | None:
        return await info.context.loaders.imports.load(parse_id(import_id))

    @query(
        Scope.READ,
        Connection[Suppression],
        "Returns the customer's do-not-call list, newest first. Entries that have expired stay on it until they are "
        "removed or added again.",
    )
    async def suppressions(
        self,
        info: Info,
        first: First = strawberry.UNSET,
        after: After = strawberry.UNSET,
        last: Last = strawberry.UNSET,
        before: Before = strawberry.UNSET,
        which: Annotated[
            SuppressionFilter | None, strawberry.argument(name="where", description="Only the suppressions that match.")
        ] = strawberry.UNSET,
    ) -> CountedPage[records.Suppression]:
        viewer = info.context.viewer
        where = which.where() if which else records.SuppressionFilter()
        page = await suppressions.page(viewer, request(first, after, last, before), where=where)
        return CountedPage(page, created_cursor, lambda: suppressions.count(viewer, where=where))

    @query(
        Scope.READ,
        list[ResultCode],
        "Returns the customer's result codes, at most 1,000: first those in use, in their owner's order, then the "
        "retired ones.",
        items_max=codes.KEPT_CODES_MAX,
    )
    async def result_codes(self, info: Info) -> list[records.ResultCode]:
        return await codes.get_all(info.context.viewer)

    @query(
        Scope.READ,
        Stats,
        "Returns figures of the attempts of all the viewer's outdials, deleted ones too, or of those of a campaign.",
    )
    async def stats(
        self,
        info: Info,
        begin: From,
        end: To,
        bucket: InBuckets = strawberry.UNSET,
        time_zone: InZone = strawberry.UNSET,
        group_by: GroupBy = strawberry.UNSET,
        campaign_id: Annotated[
            strawberry.ID | None,
            strawberry.argument(description="Only the outdials of this campaign. Default: all."),
        ] = strawberry.UNSET,
    ) -> Summed:
        wanted = requested(begin, end, bucket, time_zone, group_by)
        campaign = given(campaign_id)
        if campaign is None:
            return await of_customer(info.context.viewer, wanted)
        return await of_campaign(info.context.viewer, parse_id(campaign), wanted)
