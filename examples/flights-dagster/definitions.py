"""Flights out of New York, a partition a day. The same file in every environment: only the signs differ."""

import dagster as dg

import lanewise

days = dg.DailyPartitionsDefinition("2013-01-01", end_date="2014-01-01", timezone="America/New_York")
in_ranges = dg.BackfillPolicy.single_run()  # days in a row are one run


@dg.asset(partitions_def=days, backfill_policy=in_ranges)
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


@dg.asset(partitions_def=days, backfill_policy=in_ranges, deps=[flights_daily])
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


@dg.asset_check(asset=carrier_daily)
def every_flight_is_counted() -> dg.AssetCheckResult:
    """What a carrier flew is what its flights are."""
    with lanewise.current().run() as run:
        counted = run.sql(f"select sum(flights) from {run.output('carrier_daily')}").fetchone()[0]
        flown = run.sql(f"select count(*) from {run.output('flights_daily')}").fetchone()[0]
    return dg.AssetCheckResult(passed=counted == flown, description=f"{counted} of {flown} flights are counted")


flights = dg.define_asset_job("flights", selection="*")
defs = dg.Definitions(
    assets=[flights_daily, carrier_daily],
    asset_checks=[every_flight_is_counted],
    jobs=[flights],
    schedules=[dg.build_schedule_from_partitioned_job(flights)],
    executor=dg.in_process_executor,  # three small steps need no process each
)
