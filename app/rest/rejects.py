"""The rejected rows of an import, as a file that can be corrected and imported."""

from starlette.datastructures import QueryParams

from app import imports, outdials
from app.auth import Viewer
from app.errors import NotFound
from app.rest import parameters
from app.rest.calls import PREFIX
from app.rest.downloads import CSV, MEDIA_TYPES, NDJSON, Download
from app.rest.exporting import REASONS as EXPORT_REASONS
from app.rest.problems import Problem, Reason

PATH = f"{PREFIX}/outdials/{{id}}/imports/{{import_id}}/rejects"
NAME = "exportImportRejects"
SUMMARY = (
    "The rows that an import rejected, as a file with the columns of the imported one and two more, import_line and "
    "import_reason. Correct the file and import it: an import ignores these two columns."
)
REASONS = (*EXPORT_REASONS, Reason.IMPORT_NOT_FOUND)
"""Every reason for another answer than 200."""


async def open_rejects(viewer: Viewer, ids: dict[str, str], query: QueryParams) -> Download:
    """The file of one import.

    Raises:
        Problem: there is no such outdial, or no such import in it.
        Rejected: INVALID, if there are parameters.
    """
    parameters.read(query, ())
    outdial_id = ids["id"]
    try:
        found = await imports.file_of_rejects(viewer, outdial_id, ids["import_id"])
    except NotFound:
        known = await outdials.get_many(viewer, [outdial_id])
        raise Problem(Reason.IMPORT_NOT_FOUND if known else Reason.OUTDIAL_NOT_FOUND) from None
    return Download(found.name, MEDIA_TYPES[NDJSON if found.is_ndjson else CSV], found.parts)
