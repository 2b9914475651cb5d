"""Flights out of New York, a partition a day. The same file in every environment: only the signs differ."""

from airflow.sdk import CronDataIntervalTimetable, dag, task
from pendulum import datetime

import lanewise

ZONE = "America/New_York"
nightly = CronDataIntervalTimetable("0 0 * * *", timezone=ZONE)  # each night, the day that is over
first, last = datetime(2013, 1, 1, tz=ZONE), datetime(2013, 12, 31, tz=ZONE)


@dag(schedule=nightly, start_date=first, end_date=last, catchup=False)
def flights() -> None:
    @task
    def flights_daily() -> None:
        """One row a flight, with its aircraft, its destination and the weather at departure."""
        lane = lanewise.current()
        with lane.run() as run:
            # The raw files write a missing value as NA. A flight whose aircraft has no plane record is still a flight.
            run.sql(f"""
                insert into {run.output("flights_daily")}
                select
                    make_date(f.year, f.month, f.day) as flight_date,
                    f.carrier, f.flight, f.origin, f.dest,
                    a.name as dest_name,
                    nullif(f.tailnum, 'NA') as tail_number,
                    p.manufacturer,
                    try_cast(p.seats as integer) as seats,
                    try_cast(f.dep_delay as integer) as departure_delay,
                    try_cast(f.arr_delay as integer) as arrival_delay,
                    f.distance as distance_miles,
                    try_cast(w.wind_speed as decimal(9, 2)) as wind_speed,
                    try_cast(f.dep_delay as integer) > {lane.settings.late_after_minutes} as late
                from {run.input("raw.flights")} f
                left join {run.input("raw.planes")} p on p.tailnum = f.tailnum
                left join {run.input("raw.airports")} a on a.faa = f.dest
                left join {run.input("raw.weather")} w on w.origin = f.origin and w.time_hour = f.time_hour
                where make_date(f.year, f.month, f.day) in {run.partitions}
            """)

    @task
    def carrier_daily() -> None:
        """One row a carrier and day."""
        with lanewise.current().run() as run:
            run.sql(f"""
                insert into {run.output("carrier_daily")}
                select
                    f.flight_date, f.carrier, any_value(l.name) as carrier_name,
                    count(*) as flights,
                    count(*) filter (f.departure_delay is null) as cancelled,
                    count(*) filter (f.late) as late,
                    sum(f.seats) as seats,
                    cast(avg(f.departure_delay) as decimal(9, 2)) as mean_departure_delay
                from {run.output("flights_daily")} f
                left join {run.input("raw.airlines")} l on l.carrier = f.carrier
                group by f.flight_date, f.carrier
            """)

    flights_daily() >> carrier_daily()


flights()
