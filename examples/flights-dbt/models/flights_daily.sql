{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='flight_date', batch_size='day',
          begin='2013-01-01') }}
select
    f.flight_date, f.carrier, f.flight, f.origin, f.dest,
    a.name as dest_name,
    nullif(f.tailnum, 'NA') as tail_number,
    p.manufacturer,
    try_cast(p.seats as integer) as seats,
    try_cast(f.dep_delay as integer) as departure_delay,
    try_cast(f.arr_delay as integer) as arrival_delay,
    f.distance as distance_miles,
    try_cast(w.wind_speed as decimal(9, 2)) as wind_speed,
    try_cast(f.dep_delay as integer) > {{ var('late_after_minutes') }} as late
from {{ ref('stg_flights') }} f
left join {{ source('raw', 'planes') }} p on p.tailnum = f.tailnum
left join {{ source('raw', 'airports') }} a on a.faa = f.dest
left join {{ source('raw', 'weather') }} w on w.origin = f.origin and w.time_hour = f.time_hour
