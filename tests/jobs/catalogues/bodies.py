"""Answers made by hand after the services' documentation; places are degrees, ICRS."""

from __future__ import annotations

from collections.abc import Iterable

SIMBAD_PATH = "/simbad/sim-tap/sync"
NED_PATH = "/cgi-bin/objsearch"
VIZIER_PATH = "/TAPVizieR/tap/sync"
SKYBOT_PATH = "/skybot/conesearch.php"

Row = tuple[str, str, float | str, float | str]


def document(content: str, infos: str = "") -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<VOTABLE version="1.3" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">'
        f'<RESOURCE type="results">{infos}{content}</RESOURCE></VOTABLE>\n'
    ).encode()


def rows(table: Iterable[Iterable[object]]) -> str:
    lines = "".join("<TR>" + "".join(f"<TD>{cell}</TD>" for cell in row) + "</TR>" for row in table)
    return f"<DATA><TABLEDATA>{lines}</TABLEDATA></DATA>"


def tap(*table: tuple[object, ...], status: str = "OK") -> bytes:
    """A TAP answer to the columns that are selected: cone number, name, type, ra, dec."""
    fields = (
        '<FIELD name="cone_number" datatype="int"/>'
        '<FIELD name="object_name" datatype="char" arraysize="*" ucd="meta.id;meta.main"/>'
        '<FIELD name="object_type" datatype="char" arraysize="*" ucd="src.class"/>'
        '<FIELD name="object_ra" datatype="double" unit="deg" ucd="pos.eq.ra;meta.main"/>'
        '<FIELD name="object_dec" datatype="double" unit="deg" ucd="pos.eq.dec;meta.main"/>'
    )
    info = f'<INFO name="QUERY_STATUS" value="{status}"/>'
    return document(f"<TABLE>{fields}{rows(table)}</TABLE>", info)


def simbad(*table: Row, status: str = "OK") -> bytes:
    """An answer about the only cone of a question."""
    return tap(*((0, *row) for row in table), status=status)


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


def skybot(*table: Row) -> bytes:
    """The columns of a recorded answer that are read."""
    fields = (
        '<FIELD ID="name" name="Name" datatype="char" arraysize="32" ucd="meta.id;meta.main"/>'
        '<FIELD ID="class" name="Class" datatype="char" arraysize="24" ucd="src.class"/>'
        '<FIELD ID="_raj2000" name="_RAJ2000" datatype="double" unit="deg" ucd="pos.eq.ra"/>'
        '<FIELD ID="_decj2000" name="_DECJ2000" datatype="double" unit="deg" ucd="pos.eq.dec"/>'
    )
    return document(f'<TABLE name="SkybotConeSearch">{fields}{rows(table)}</TABLE>')


SKYBOT_NOBODY = tap_error("No solar system object was found in the requested FOV")
