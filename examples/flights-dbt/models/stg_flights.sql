{{ config(event_time='flight_date') }}
-- The raw files write a missing value as NA.
select make_date(year, month, day) as flight_date, * exclude (year, month, day)
from {{ source('raw', 'flights') }}
