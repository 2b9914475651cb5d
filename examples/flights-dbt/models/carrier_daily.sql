{{ config(materialized='table') }}
select
    f.flight_date, f.carrier, any_value(l.name) as carrier_name,
    count(*) as flights,
    count(*) filter (f.departure_delay is null) as cancelled,
    count(*) filter (f.late) as late,
    sum(f.seats) as seats,
    cast(avg(f.departure_delay) as decimal(9, 2)) as mean_departure_delay
from {{ ref('flights_daily') }} f
left join {{ source('raw', 'airlines') }} l on l.carrier = f.carrier
group by f.flight_date, f.carrier
