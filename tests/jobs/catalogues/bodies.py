"""Answers made by hand after the services' documentation; places are degrees, ICRS."""

from __future__ import annotations

SIMBAD_PATH = "/simbad/sim-tap/sync"
NED_PATH = "/cgi-bin/objsearch"
VIZIER_PATH = "/viz-bin/votable"

Row = tuple[str, str, float | str, float | str]


def document(content: str, infos: str = "") -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<VOTABLE version="1.3" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">'
        f'<RESOURCE type="results">{infos}{content}</RESOURCE></VOTABLE>\n'
    ).encode()


def rows(table: tuple[Row, ...]) -> str:
    lines = "".join("<TR>" + "".join(f"<TD>{cell}</TD>" for cell in row) + "</TR>" for row in table)
    return f"<DATA><TABLEDATA>{lines}</TABLEDATA></DATA>"


def simbad(*table: Row, status: str = "OK") -> bytes:
    """A TAP answer to the columns that are selected."""
    fields = (
        '<FIELD name="main_id" datatype="char" arraysize="*" ucd="meta.id;meta.main"/>'
        '<FIELD name="otype_txt" datatype="char" arraysize="*" ucd="src.class"/>'
        '<FIELD name="ra" datatype="double" unit="deg" ucd="pos.eq.ra;meta.main"/>'
        '<FIELD name="dec" datatype="double" unit="deg" ucd="pos.eq.dec;meta.main"/>'
    )
    info = f'<INFO name="QUERY_STATUS" value="{status}"/>'
    return document(f"<TABLE>{fields}{rows(table)}</TABLE>", info)


def tap_error(message: str) -> bytes:
    return document("", f'<INFO name="QUERY_STATUS" value="ERROR">{message}</INFO>')


def ned(*table: Row) -> bytes:
    fields = (
        '<FIELD ID="main_col2" name="Object Name" datatype="char" arraysize="30" '
        'ucd="meta.id;meta.main"/>'
        '<FIELD ID="main_col5" name="Type" datatype="char" arraysize="*" ucd="src.class"/>'
        '<FIELD ID="main_col3" name="RA" datatype="double" ucd="pos.eq.ra;meta.main"/>'
        '<FIELD ID="main_col4" name="DEC" datatype="double" ucd="pos.eq.dec;meta.main"/>'
    )
    return document(f'<TABLE ID="NED_MainTable">{fields}{rows(table)}</TABLE>')


def ned_error(message: str) -> bytes:
    """How NED reports: status OK, and a PARAM that says otherwise."""
    return document(
        f'<PARAM name="Error" value=" {message}" datatype="char" arraysize="*"/>',
        '<INFO name="QUERY_STATUS" value="OK"/>',
    )


NED_NOTHING = ned_error("No object found.")


def vizier(*table: Row) -> bytes:
    """A table of V/147/sdss12; without rows it has its FIELDs and no DATA."""
    fields = (
        '<FIELD name="SDSS12" datatype="char" arraysize="19" ucd="meta.id;meta.main"/>'
        '<FIELD name="class" datatype="char" arraysize="*" ucd="src.class"/>'
        '<FIELD name="_RAJ2000" datatype="double" unit="deg" ucd="pos.eq.ra"/>'
        '<FIELD name="_DEJ2000" datatype="double" unit="deg" ucd="pos.eq.dec"/>'
    )
    content = rows(table) if table else "<!--  EMPTY result, no DATA part  -->"
    return document(f'<TABLE name="V/147/sdss12">{fields}{content}</TABLE>')


VIZIER_WITHOUT_TABLE = document("")
