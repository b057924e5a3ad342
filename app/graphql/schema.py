"""The schema: the root types and the scalars, put together."""

import strawberry
from strawberry.schema.config import StrawberryConfig

from app.graphql.mutations import Mutation
from app.graphql.queries import Query
from app.graphql.scalars import SCALARS
from app.graphql.subscriptions import Subscription
from app.graphql.types import Attempt

schema = strawberry.Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    types=[Attempt],
    config=StrawberryConfig(scalar_map=SCALARS),
)
