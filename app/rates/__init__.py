"""Rate limits: how many points of work (`app.costs`) each customer may ask for.

Each customer has one bucket of points for all processes, as a row in the database. A request neither reads nor writes
it. A process counts what a customer spends, and charges the row for it whenever that comes to half a share, in the
background; so it learns what the other processes have charged. Its modules:

- `bucket`: the rule. Pure.
- `stored`: the row.
- `limiter`: what a process knows of its customers.
"""

from app.rates.bucket import Kind
from app.rates.limiter import Limiter, State
from app.rates.stored import prune

__all__ = ["Kind", "Limiter", "State", "prune"]
