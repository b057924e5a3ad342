"""The schema, made of the root types and the scalars."""

import strawberry
from strawberry.schema.config import StrawberryConfig

from app.graphql.schema.mutations import Mutation
from app.graphql.schema.queries import Query
from app.graphql.schema.scalars import SCALARS
from app.graphql.schema.subscriptions import Subscription
from app.graphql.schema.types import Attempt

schema = strawberry.Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    types=[Attempt],
    config=StrawberryConfig(scalar_map=SCALARS),
)
