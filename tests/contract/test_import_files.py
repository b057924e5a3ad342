"""Lists as Calc, Excel and others save them, sent to a real server.

How the files in tests/data/imports were made stands beside them.
"""

import gzip
import json
from pathlib import Path

import pytest

from tests.support import importing, rest
from tests.support.graphql_client import Client
from tests.support.importing import counts, keys, refused, rejects, send, stored, taken

FILES = Path(__file__).parent.parent / "data" / "imports"
UTF_8_MARK = b"\xef\xbb\xbf"


@pytest.fixture
async def outdial(client: Client) -> str:
    made: str = (await client.outdial(name="To fill"))["id"]
    return made


# ---------------------------------------------------------------- Calc

CALC = [
    # one column as the file has it: the number in scientific notation, which a comma as delimiter must quote
    ("calc-semicolon-utf-8.csv", {}, "kunde-3;Zoë Groß;4.91512E+11;zoe@example.com;@home;Gmünd"),
    ("calc-comma-utf-8.csv", {}, 'kunde-3,Zoë Groß,"4,91512E+11",zoe@example.com,@home,Gmünd'),
    ("calc-tab-utf-16.csv", {}, "kunde-3\tZoë Groß\t4,91512E+11\tzoe@example.com\t@home\tGmünd"),
    (
        "calc-quoted-windows-1252.csv",
        {"encoding": "windows-1252"},
        '"kunde-3";"Zoë Groß";4.91512E+11;"zoe@example.com";"@home";"Gmünd"',
    ),
]
CALC_PLACES = {"kunde-1": "Köln", "kunde-2": "Bath", "kunde-4": None, "kunde-5": "Zürich", "kunde-7": "Liège"}


@pytest.mark.alternate
@pytest.mark.parametrize(("name", "parameters", "row"), CALC)
async def test_a_list_saved_by_calc_goes_in_as_it_was_on_the_screen(
    client: Client, outdial: str, name: str, parameters: dict[str, str], row: str
) -> None:
    job = await taken(client, outdial, (FILES / name).read_bytes(), region="DE", file_name=name, **parameters)
    assert counts(job) == (7, 5, 0, 0, 2)
    # kunde-2 takes two lines, so what stands in row 8 of the sheet begins on line 9
    assert rejects(job) == [(5, "phone", "scientific_notation"), (9, "phone", "invalid")]
    assert job["rejects"][0]["row"] == row
    [warning] = job["warnings"]
    assert "Ort" in warning
    assert await stored(client, outdial) == [
        (
            "kunde-1",
            "Jörg Müller",
            'Maß 5" x 7"; Rückruf, bitte\tbald',
            "",
            [("TEL", "+493023125001"), ("EMAIL", "joerg@example.com")],
        ),
        ("kunde-2", "Ann\nO\u2019Hara", "=SUM(A1:A2)", "", [("TEL", "+447700900123")]),
        ("kunde-4", "+Plus GmbH", "-minus", "", [("TEL", "+493023125002")]),
        ("kunde-5", "=Gleich & Söhne", "=Summe", "", [("TEL", "+12125550142")]),
        (
            "kunde-7",
            "Renée",
            "Zeile 1\nZeile 2\n\nZeile 4",
            "",
            [("TEL", "+493023125003"), ("EMAIL", "renee@example.com")],
        ),
    ]


@pytest.mark.alternate
@pytest.mark.parametrize(("name", "parameters", "row"), CALC)
async def test_a_column_of_ones_own_is_kept_in_data_in_every_encoding(
    client: Client, outdial: str, name: str, parameters: dict[str, str], row: str
) -> None:
    job = await taken(client, outdial, (FILES / name).read_bytes(), region="DE", extra="data", **parameters)
    assert job["warnings"] == []
    assert {key: json.loads(data or "{}").get("Ort") for key, _, _, data, _ in await stored(client, outdial)} == (
        CALC_PLACES
    )


async def test_a_hundred_columns_are_named_or_kept(client: Client, outdial: str) -> None:
    body = (FILES / "calc-100-columns.csv").read_bytes()
    job = await taken(client, outdial, body)
    assert counts(job) == (3, 3, 0, 0, 0)
    [warning] = job["warnings"]
    assert "Frage 1, Frage 2, Frage 3" in warning
    people = [
        ("breit-1", "Jörg Müller", [("TEL", "+493023125001")]),
        ("breit-2", "Zoë Groß", [("TEL", "+493023125002")]),
        ("breit-3", "Renée", [("TEL", "+493023125003")]),
    ]
    assert await stored(client, outdial) == [(key, name, "", "", phones) for key, name, phones in people]

    kept = (await client.outdial())["id"]
    assert (await taken(client, kept, body, extra="data"))["warnings"] == []
    found = await stored(client, kept)
    assert [(key, name, phones) for key, name, _, _, phones in found] == people
    assert [json.loads(data or "{}") for _, _, _, data, _ in found] == [
        {f"Frage {number}": f"Antwort {number}" for number in range(10, 100, 10)},
        {},
        {"Frage 97": "=letzte"},
    ]


async def test_numbers_that_lost_their_plus_in_a_spreadsheet_are_refused(client: Client, outdial: str) -> None:
    body = (FILES / "calc-opened-and-saved.csv").read_bytes()
    job = await taken(client, outdial, body)
    assert counts(job) == (4, 1, 0, 0, 3)
    assert rejects(job) == [(2, "phone", "invalid"), (4, "phone", "invalid"), (5, "phone", "invalid")]
    assert [reject["row"] for reject in job["rejects"]] == ["a;Ann;447700900123", "c;Cy;3023125002", "d;Di;12125550142"]
    assert await stored(client, outdial) == [("b", "Bo", "", "", [("TEL", "+493023125001")])]


# ---------------------------------------------------------------- Excel

# In a German locale the delimiter of each CSV is the list separator of the system, a semicolon, and the comma is the
# decimal sign, in scientific notation too. Rows end with CR LF, a line break within a cell (Alt+Enter) is an LF. A cell
# is quoted where it has the delimiter, a quote or a line break. Rows at the end that were emptied or formatted are in
# the "used range", and saved as delimiters alone.
EXCEL = (
    "key;name;phone;email;priority\r\n"
    "k-1;Jörg Müller;+49 30 23125 001;joerg@example.com;5\r\n"
    'k-2;"Ann\nO\'Hara";+44 7700 900123;;\r\n'
    "k-3;Zoë;4,91512E+11;;1\r\n"
    ";;;;\r\n"
    'k-4;"Maß 5""";030 23125 002;;3\r\n'
    "k-5;Renée;+49 30 23125 003;renee@example.com;zehn\r\n"
    ";;;;\r\n"
    ";;;;\r\n"
)
# "Unicode text" has tabs, and Excel quotes what has a comma there as well.
EXCEL_TABS = (
    "key\tname\tphone\temail\tpriority\r\n"
    "k-1\tJörg Müller\t+49 30 23125 001\tjoerg@example.com\t5\r\n"
    'k-2\t"Ann\nO\'Hara"\t+44 7700 900123\t\t\r\n'
    'k-3\tZoë\t"4,91512E+11"\t\t1\r\n'
    "\t\t\t\t\r\n"
    'k-4\t"Maß 5"""\t030 23125 002\t\t3\r\n'
    "k-5\tRenée\t+49 30 23125 003\trenee@example.com\tzehn\r\n"
    "\t\t\t\t\r\n"
    "\t\t\t\t\r\n"
)
HINT = "sep=;\r\n"
EXCEL_FILES = [
    # "CSV UTF-8 (Comma delimited)": begins with a byte order mark, and has semicolons all the same
    pytest.param(UTF_8_MARK + EXCEL.encode(), {}, 0, id="CSV UTF-8"),
    # "CSV (Comma delimited)": in the "ANSI" code page of the system, without any mark of it
    pytest.param(EXCEL.encode("cp1252"), {"encoding": "windows-1252"}, 0, id="CSV"),
    # "Unicode Text": UTF-16, little-endian, with a mark
    pytest.param(b"\xff\xfe" + EXCEL_TABS.encode("utf-16-le"), {}, 0, id="Unicode Text"),
    # "CSV (MS-DOS)": in the "OEM" code page, which is 850 in western Europe
    pytest.param(EXCEL.encode("cp850"), {"encoding": "cp850"}, 0, id="CSV (MS-DOS)"),
    # "CSV (Macintosh)": Mac OS Roman, and rows end with CR alone
    pytest.param(EXCEL.replace("\r\n", "\r").encode("mac-roman"), {"encoding": "macintosh"}, 0, id="CSV (Macintosh)"),
    # Excel reads such a first line as the name of the delimiter; programs write it so that it opens in any locale
    pytest.param((HINT + EXCEL).encode("cp1252"), {"encoding": "windows-1252"}, 1, id="sep="),
    pytest.param(UTF_8_MARK + (HINT + EXCEL).encode(), {}, 1, id="sep= after a mark"),
    pytest.param(("sep=\t\r\n" + EXCEL_TABS).encode("utf-16"), {}, 1, id="sep= of a tab"),
    # a long list whose rows were emptied with the delete key and not removed
    pytest.param(UTF_8_MARK + (EXCEL + ";;;;\r\n" * 50_000).encode(), {}, 0, id="50,000 rows of delimiters"),
]


@pytest.mark.alternate
@pytest.mark.parametrize(("body", "parameters", "lines_before"), EXCEL_FILES)
async def test_a_list_saved_by_excel_goes_in_as_it_was_on_the_screen(
    client: Client, outdial: str, body: bytes, parameters: dict[str, str], lines_before: int
) -> None:
    job = await taken(client, outdial, body, region="DE", **parameters)
    assert counts(job) == (5, 3, 0, 0, 2)
    assert rejects(job) == [
        (5 + lines_before, "phone", "scientific_notation"),
        (8 + lines_before, "priority", "invalid"),
    ]
    assert job["warnings"] == []
    assert await stored(client, outdial) == [
        ("k-1", "Jörg Müller", "", "", [("TEL", "+493023125001"), ("EMAIL", "joerg@example.com")]),
        ("k-2", "Ann\nO'Hara", "", "", [("TEL", "+447700900123")]),
        ("k-4", 'Maß 5"', "", "", [("TEL", "+493023125002")]),
    ]
    assert [target["priority"] for target in await importing.targets(client, outdial)] == [5, 0, 3]


async def test_empty_columns_beside_the_list_are_nobodys(client: Client, outdial: str) -> None:
    # Excel saves columns that were formatted and have no header; a few cells beyond them hold nothing but blanks
    body = "key;phone;;;\r\na;+44 7700 900123;;;\r\nb;+44 7700 900124;; ;;;\r\nc;+44 7700 900125;x;;\r\n"
    job = await taken(client, outdial, body)
    assert (counts(job), job["warnings"]) == ((3, 3, 0, 0, 0), [])
    assert await keys(client, outdial) == ["a", "b", "c"]


# ---------------------------------------------------------------- encodings


@pytest.mark.slow
@pytest.mark.alternate
@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("windows-1252", "Jörg \u20ac \u201eMüller\u201c"),
        ("iso-8859-15", "Jörg \u20ac Müller"),
        ("latin1", "Jörg Müller"),
        ("CP850", "Jörg Müller"),
        ("mac-roman", "Jörg \u20ac Müller"),
        ("UTF-16LE", "Jörg 😀"),
        ("utf-16-be", "Jörg 😀"),
        ("utf-16", "Jörg 😀"),
        ("utf-32", "Jörg 😀"),
        ("UTF8", "Jörg 😀"),
        ("utf-8-sig", "Jörg 😀"),
        ("windows-1251", "Иван"),
        ("koi8-r", "Иван"),
        ("iso-8859-7", "Νίκος"),
        ("shift_jis", "山田太郎"),
        ("iso-2022-jp", "山田太郎"),
        ("gb18030", "王小明"),
        ("big5", "王小明"),
        ("euc-kr", "김철수"),
    ],
)
async def test_a_file_is_read_in_the_encoding_that_is_named(
    client: Client, outdial: str, encoding: str, name: str
) -> None:
    body = f"key,name,phone\r\na,{name},+44 7700 900123\r\nb,{name},nobody\r\n".encode(encoding)
    job = await taken(client, outdial, body, encoding=encoding)
    assert counts(job) == (2, 1, 0, 0, 1)
    assert [(reject["line_number"], reject["row"]) for reject in job["rejects"]] == [(3, f"b,{name},nobody")]
    assert await stored(client, outdial) == [("a", name, "", "", [("TEL", "+447700900123")])]


@pytest.mark.alternate
@pytest.mark.parametrize("encoding", ["klingon", "rot13", "base64", "zip", "idna", "unicode_escape", "undefined", "ü"])
async def test_an_encoding_that_is_none_is_refused_before_a_job_is_made(
    client: Client, outdial: str, encoding: str
) -> None:
    response = await send(client, outdial, importing.table(3), encoding=encoding)
    assert rest.paths(response) == [["encoding"]]
    query = "query ($id: ID!) { outdial(id: $id) { imports(first: 10) { totalCount } progress { total } } }"
    found = (await client.run(query, id=outdial))["outdial"]
    assert found == {"imports": {"totalCount": 0}, "progress": {"total": 0}}


GOOD_ROWS = "key,name,phone\r\na,Ann,+44 7700 900123\r\nb,Bo,+44 7700 900124\r\n"


@pytest.mark.slow
@pytest.mark.alternate
@pytest.mark.parametrize(
    ("body", "parameters", "line"),
    [
        pytest.param((GOOD_ROWS + "c,Cön,+44 7700 900125\r\n").encode("cp1252"), {}, 4, id="windows-1252"),
        pytest.param((GOOD_ROWS + "\xfc,Cy,+44 7700 900125\r\n").encode("cp1252"), {}, 4, id="first byte of its line"),
        pytest.param(
            (GOOD_ROWS + 'c,"C\nC\r\nCön",+44 7700 900125\r\nd,D,+44 7700 900126\r\n').encode("cp1252"),
            {},
            6,
            id="in a cell of three lines",
        ),
        pytest.param(GOOD_ROWS.replace("\r\n", "\r").encode() + b"c,C\xf6n,1\r", {}, 4, id="CR"),
        pytest.param((GOOD_ROWS + "\r\n\r\nc,Cön").encode()[:-2], {}, 6, id="ends within a letter"),
        # as where two files were put together
        pytest.param(UTF_8_MARK + GOOD_ROWS.encode() + b"c,C\xf6n,1\r\n", {}, 4, id="after a mark"),
        pytest.param(
            UTF_8_MARK + GOOD_ROWS.encode() + b"\xf6,Cy,1\r\n", {}, 4, id="after a mark, first byte of its line"
        ),
        # Windows-1252 has five bytes that mean nothing
        pytest.param(GOOD_ROWS.encode() + b"c,C\x81,1\r\n", {"encoding": "windows-1252"}, 4, id="no windows-1252"),
        pytest.param((GOOD_ROWS + "c,Cön,1\r\n").encode(), {"encoding": "ascii"}, 4, id="no ASCII"),
        pytest.param(
            GOOD_ROWS.encode("utf-16") + b"c\0\0\xd8,\0\r\0\n\0", {}, 4, id="half of a pair of surrogates in UTF-16"
        ),
        pytest.param(GOOD_ROWS.encode("utf-16") + b"c\0,\0x", {}, 4, id="half of a character of UTF-16"),
    ],
)
async def test_a_wrong_encoding_is_refused_at_its_first_bad_line_and_the_rows_before_it_are_in(
    client: Client, outdial: str, body: bytes, parameters: dict[str, str], line: int
) -> None:
    message, job = await refused(client, outdial, body, **parameters)
    assert f"Line {line} " in message
    assert counts(job) == (2, 2, 0, 0, 0)
    assert await keys(client, outdial) == ["a", "b"]


async def test_a_wrong_encoding_far_below_leaves_the_thousands_of_rows_before_it_in(
    client: Client, outdial: str
) -> None:
    body = importing.table(4_321).encode() + b"bad,J\xf6rg,+44 7700 900123\n" + "".join(importing.rows(10)).encode()
    message, job = await refused(client, outdial, body)
    assert "Line 4323 " in message.replace(",", "")
    assert counts(job) == (4_321, 4_321, 0, 0, 0)
    query = "query ($id: ID!) { outdial(id: $id) { progress { total } } }"
    assert (await client.run(query, id=outdial))["outdial"] == {"progress": {"total": 4_321}}


@pytest.mark.alternate
@pytest.mark.parametrize(
    ("body", "parameters"),
    [
        pytest.param("kéy,phone\na,+44 7700 900123\n".encode("cp1252"), {}, id="in the header"),
        pytest.param(GOOD_ROWS.encode("utf-16-le"), {}, id="UTF-16 without a mark"),
        pytest.param(GOOD_ROWS.encode(), {"encoding": "utf-16"}, id="UTF-8 said to be UTF-16"),
        pytest.param(GOOD_ROWS.encode(), {"encoding": "utf-32"}, id="UTF-8 said to be UTF-32"),
        pytest.param(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", {}, id="a picture"),
        # an .xlsx is a zip file; whoever sends it has chosen the wrong one
        pytest.param(b"PK\x03\x04\x14\0\x06\0\x08\0\0\0!\0" + bytes(range(256)), {}, id="a workbook"),
    ],
)
async def test_a_file_whose_header_is_no_text_is_refused_whole(
    client: Client, outdial: str, body: bytes, parameters: dict[str, str]
) -> None:
    message, job = await refused(client, outdial, body, **parameters)
    assert "Line 1" in message
    assert counts(job) == (0, 0, 0, 0, 0)
    assert await keys(client, outdial) == []


# ---------------------------------------------------------------- headers


@pytest.mark.alternate
@pytest.mark.parametrize("body", [b"", UTF_8_MARK, b"\xff\xfe", b"\r\n\r\n", gzip.compress(b"", mtime=0)])
async def test_an_empty_file_is_refused(client: Client, outdial: str, body: bytes) -> None:
    _, job = await refused(client, outdial, body)
    assert counts(job) == (0, 0, 0, 0, 0)


@pytest.mark.alternate
@pytest.mark.parametrize("body", ["key,name,phone", "key;name;phone\r\n", "\ufeffkey\tname\tphone\r\n\t\t\r\n"])
async def test_a_header_alone_is_a_list_of_nobody(client: Client, outdial: str, body: str) -> None:
    job = await taken(client, outdial, body)
    assert (job["state"], counts(job), job["warnings"], rejects(job)) == ("completed", (0, 0, 0, 0, 0), [], [])


async def test_a_header_without_any_known_column_is_refused_until_it_is_mapped(client: Client, outdial: str) -> None:
    body = "Vorname;Telefonnummer\r\nJörg;+49 30 23125 001\r\n"
    message, job = await refused(client, outdial, body)
    assert "Line 1" in message
    assert counts(job) == (0, 0, 0, 0, 0)
    job = await taken(client, outdial, body, map=["Vorname:name", "Telefonnummer:phone"])
    assert (counts(job), job["warnings"]) == ((1, 1, 0, 0, 0), [])
    assert await stored(client, outdial) == [(None, "Jörg", "", "", [("TEL", "+493023125001")])]


@pytest.mark.alternate
@pytest.mark.parametrize(
    ("header", "parameters"),
    [
        ("phone;name;Phone", {}),
        ("phone;name;phone_1", {}),
        ("phone;name;destination_0_target", {}),
        ("key;phone;KEY", {}),
        ("Telefon;name;phone", {"map": "Telefon:phone"}),
    ],
)
async def test_the_same_column_twice_is_refused(
    client: Client, outdial: str, header: str, parameters: dict[str, str]
) -> None:
    message, job = await refused(client, outdial, f"{header}\r\nx;y;z\r\n", **parameters)
    assert "Line 1" in message
    assert counts(job) == (0, 0, 0, 0, 0)


async def test_columns_of_one_name_are_all_kept(client: Client, outdial: str) -> None:
    body = "phone,Note,note,Note\n+44 7700 900123,x,y,z\n"
    await taken(client, outdial, body, extra="data")
    [(_, _, _, data, _)] = await stored(client, outdial)
    assert json.loads(data) == {"Note": "x", "note": "y", "Note (2)": "z"}
