"""Make the raw files of a small shop: orders and customers, the same bytes each time.

Each environment gets data of its own: a week in dev, two weeks in stage, sixty days in prod.
"""

import csv
import pathlib
import random
from datetime import date, timedelta

FIRST_DAY = date(2026, 1, 1)
DAYS = {"dev": 7, "stage": 14, "prod": 60}
COUNTRIES = ("DE", "FR", "NL", "PL")


def customers():
    """Forty customers, each in a country."""
    return [(number, COUNTRIES[number % 4]) for number in range(1, 41)]


def orders():
    """Some orders a day for sixty days. One in ten is a refund, and one in ten has no customer: a guest's."""
    dice = random.Random(2026)
    number = 1000
    for day in range(max(DAYS.values())):
        for _ in range(dice.randint(4, 8)):
            number += 1
            customer = "" if dice.random() < 0.1 else dice.randint(1, 40)
            cents = dice.randint(300, 20_000) * (-1 if dice.random() < 0.1 else 1)
            yield number, FIRST_DAY + timedelta(day), customer, f"{cents / 100:.2f}"


def write(path, header, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


for environment, days in DAYS.items():
    raw = pathlib.Path("data", environment, "raw")
    first = [row for row in orders() if row[1] < FIRST_DAY + timedelta(days)]
    write(raw / "orders.csv", ("order_id", "order_date", "customer_id", "amount"), first)
    write(raw / "customers.csv", ("customer_id", "country"), customers())
    print(f"{environment}: {len(first)} orders of {days} days")
