"""The eleven calls: the input of each, its use-case and its answer."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app import costs, outdials, targets
from app.auth import Scope, Viewer
from app.pagination import PageRequest
from app.records import Outdial, OutdialDraft, Target, TargetDraft
from app.rest import paging
from app.rest.members import (
    CAMPAIGN,
    DATA,
    DESTINATION_FIELDS,
    DESTINATION_NAMES,
    DETAIL,
    NAME,
    OUTDIAL,
    TARGET,
    Field,
    Rendered,
    Shape,
)
from app.rest.problems import Problem, Reason

PREFIX = "/v1.0"


@dataclass(frozen=True, slots=True)
class Request:
    """A call's input, parsed."""

    viewer: Viewer
    ids: Mapping[str, str] = field(default_factory=dict)
    page: PageRequest = field(default_factory=PageRequest)
    given: Mapping[str, Any] = field(default_factory=dict)

    @property
    def outdial_id(self) -> str:
        return self.ids["id"]

    @property
    def target_id(self) -> str:
        return self.ids["target_id"]


@dataclass(frozen=True, slots=True)
class Call:
    """One call, defined once for the endpoint and for the description."""

    method: str
    path: str
    name: str
    summary: str
    answers: Shape
    run: Callable[[Request], Awaitable[Rendered]]
    is_list: bool = False
    body: Sequence[Field] | None = None
    body_path: tuple[str, ...] = ()
    """The first steps of the path of an error about the body."""

    @property
    def scope(self) -> Scope:
        return Scope.READ if self.method == "GET" else Scope.WRITE

    @property
    def id_names(self) -> list[str]:
        return [name for name in ("id", "target_id") if f"{{{name}}}" in self.path]

    def points(self, request: Request) -> int:
        """What the call costs: see `app.costs`."""
        return costs.points(**self._size(request), rows=0 if self.scope is Scope.READ else 1)

    def is_long(self, request: Request) -> bool:
        """Whether the answer takes long to compute."""
        return costs.is_long(**self._size(request))

    def _size(self, request: Request) -> dict[str, int]:
        objects = request.page.size if self.is_list else 1
        return {"fields": objects * len(self.answers.members), "characters": objects * self.answers.characters_max}

    @property
    def missing(self) -> Reason:
        return Reason.OUTDIAL_TARGET_NOT_FOUND if "target_id" in self.id_names else Reason.OUTDIAL_NOT_FOUND

    @property
    def reasons(self) -> list[Reason]:
        """Every reason for another answer than 200."""
        reasons = {
            Reason.AUTHENTICATION_REQUIRED,
            Reason.INVALID_CREDENTIALS,
            Reason.PERMISSION_DENIED,
            Reason.RATE_LIMIT_EXCEEDED,
            Reason.INTERNAL,
            Reason.SERVICE_UNAVAILABLE,
        }
        if self.id_names:
            reasons |= {Reason.INVALID_ID, Reason.OUTDIAL_NOT_FOUND, self.missing}
        if self.is_list or self.body is not None:
            reasons.add(Reason.INVALID_ARGUMENT)
        if self.body is not None:
            reasons |= {
                Reason.INVALID_JSON_BODY,
                Reason.REQUEST_TIMEOUT,
                Reason.PAYLOAD_TOO_LARGE,
                Reason.UNSUPPORTED_MEDIA_TYPE,
            }
        return [reason for reason in Reason if reason in reasons]


# ---------------------------------------------------------------- outdials


async def _list_outdials(request: Request) -> Rendered:
    return paging.render(await outdials.page(request.viewer, request.page), OUTDIAL)


async def _create_outdial(request: Request) -> Rendered:
    return OUTDIAL.render(await outdials.create(request.viewer, draft=OutdialDraft(**request.given)))


async def _read_outdial(request: Request) -> Rendered:
    return OUTDIAL.render(await _outdial(request))


async def _update_outdial(request: Request) -> Rendered:
    return OUTDIAL.render(await outdials.update(request.viewer, request.outdial_id, changes=request.given))


async def _delete_outdial(request: Request) -> Rendered:
    return OUTDIAL.render(await outdials.delete(request.viewer, request.outdial_id))


async def _outdial(request: Request) -> Outdial:
    found = await outdials.get_many(request.viewer, [request.outdial_id])
    if not found:
        raise Problem(Reason.OUTDIAL_NOT_FOUND)
    return found[request.outdial_id]


# ---------------------------------------------------------------- targets


async def _list_targets(request: Request) -> Rendered:
    outdial = await _outdial(request)
    found = await targets.pages(request.viewer, [outdial.id], request=request.page)
    return paging.render(found[outdial.id], TARGET)


async def _create_target(request: Request) -> Rendered:
    texts = {name: value for name, value in request.given.items() if name not in DESTINATION_NAMES}
    draft = TargetDraft(**texts, destinations=tuple(request.given.get(name) for name in DESTINATION_NAMES))
    return TARGET.render(await targets.create(request.viewer, request.outdial_id, draft=draft))


async def _read_target(request: Request) -> Rendered:
    return TARGET.render(await _target(request))


async def _delete_target(request: Request) -> Rendered:
    target = await _target(request)
    return TARGET.render(await targets.delete(request.viewer, target.id))


async def _target(request: Request) -> Target:
    """The target, unless it is another outdial's. The outdial of a target never changes."""
    target = (await targets.get_many(request.viewer, [request.target_id])).get(request.target_id)
    if target is not None and target.outdial_id == request.outdial_id:
        return target
    await _outdial(request)
    raise Problem(Reason.OUTDIAL_TARGET_NOT_FOUND)


# ---------------------------------------------------------------- all of them

_OUTDIALS = f"{PREFIX}/outdials"
_OUTDIAL = f"{_OUTDIALS}/{{id}}"
_TARGETS = f"{_OUTDIAL}/targets"
_TARGET = f"{_TARGETS}/{{target_id}}"

CALLS = (
    Call(
        "GET",
        _OUTDIALS,
        "listOutdials",
        "List outdials, newest first.",
        OUTDIAL,
        _list_outdials,
        is_list=True,
    ),
    Call(
        "POST",
        _OUTDIALS,
        "createOutdial",
        "Create an outdial without targets.",
        OUTDIAL,
        _create_outdial,
        body=(NAME, DETAIL, DATA, CAMPAIGN),
    ),
    Call(
        "GET",
        _OUTDIAL,
        "getOutdial",
        "Get an outdial.",
        OUTDIAL,
        _read_outdial,
    ),
    Call(
        "PUT",
        _OUTDIAL,
        "updateOutdial",
        "Change an outdial's name and detail. Members that are left out keep their value.",
        OUTDIAL,
        _update_outdial,
        body=(NAME, DETAIL),
    ),
    Call(
        "PUT",
        f"{_OUTDIAL}/campaign_id",
        "updateOutdialCampaign",
        "Set or remove the campaign that dials an outdial.",
        OUTDIAL,
        _update_outdial,
        body=(CAMPAIGN.required(),),
    ),
    Call(
        "PUT",
        f"{_OUTDIAL}/data",
        "updateOutdialData",
        "Change an outdial's data.",
        OUTDIAL,
        _update_outdial,
        body=(DATA.required(),),
    ),
    Call(
        "DELETE",
        _OUTDIAL,
        "deleteOutdial",
        "Delete an outdial and its targets. Attempts in progress lose their lease.",
        OUTDIAL,
        _delete_outdial,
    ),
    Call(
        "GET",
        _TARGETS,
        "listTargets",
        "List an outdial's targets, newest first.",
        TARGET,
        _list_targets,
        is_list=True,
    ),
    Call(
        "POST",
        _TARGETS,
        "createTarget",
        "Add a target to an outdial. It needs at least one destination.",
        TARGET,
        _create_target,
        body=(NAME, DETAIL, DATA, *DESTINATION_FIELDS),
        body_path=("target",),
    ),
    Call(
        "GET",
        _TARGET,
        "getTarget",
        "Get a target.",
        TARGET,
        _read_target,
    ),
    Call(
        "DELETE",
        _TARGET,
        "deleteTarget",
        "Delete a target. An attempt in progress loses its lease.",
        TARGET,
        _delete_target,
    ),
)
