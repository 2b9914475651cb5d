"""Orders with their countries, and each country's revenue, a day at a time."""

import lanewise


def main():
    lane = lanewise.current()
    with lane.run() as run:
        run.sql(f"""
            insert into {run.output("orders")}
            select o.order_id, o.order_date, c.country, o.amount
            from {run.input("raw.orders")} o
            left join {run.input("raw.customers")} c on c.customer_id = o.customer_id
            where o.order_date in {run.partitions}
        """)
        revenue = f"""
            insert into {run.output("revenue")}
            select order_date, coalesce(country, $guest), count(*), sum(amount)
            from {run.output("orders")}
            group by all
        """
        run.sql(revenue, {"guest": lane.settings.guest_country})


if __name__ == "__main__":
    main()
