{# When all has run well: the tables that were asked for are handed over, with the partitions that were asked for. On
   DuckDB each leaves as a Parquet file; on PostgreSQL they lie in the room already. Rows whose partition is NULL stay,
   so that the audit tells of them. #}
{% macro close_room(results) %}
  {% if execute and env_var('LANEWISE_DBT_HAND_OVER', 'yes') == 'yes' and lanewise.all_well(results) %}
    {% set room = lanewise.room() %}
    {% for node in graph.nodes.values() if node.resource_type in ('model', 'seed') and node.name in room.tables %}
      {% set table = room.tables[node.name] %}
      {% set relation = api.Relation.create(node.database, node.schema, node.alias, type='table') %}
      {% set stays = lanewise.partition_asked_for(relation, table, room.partitions) %}
      {% if target.type == 'duckdb' %}
        copy (select * from {{ relation }} where {{ stays }}) to {{ table.file }} (format parquet);
      {% elif table.partition %}
        delete from {{ relation }} where not ({{ stays }});
      {% endif %}
    {% endfor %}
    {% if target.type != 'duckdb' %}commit;{% endif %}
  {% endif %}
{% endmacro %}

{% macro all_well(results) %}
  {% for result in results if result.status | string in ('error', 'fail', 'runtime error', 'partial success') %}
    {{ return(false) }}
  {% endfor %}
  {{ return(true) }}
{% endmacro %}

{% macro partition_asked_for(relation, table, partitions) %}
  {% if not table.partition %}{{ return('true') }}{% endif %}
  {% set wanted = table.partition.column | lower %}
  {% for column in adapter.get_columns_in_relation(relation) if column.name | lower == wanted %}
    {% set name = adapter.quote(column.name) %}
    {% set text = lanewise.partition_name(name, column.dtype | lower, table.partition) %}
    {{ return(name ~ ' is null or ' ~ text ~ ' in (' ~ (partitions or ['NULL']) | join(', ') ~ ')') }}
  {% endfor %}
  {{ return('true') }}
{% endmacro %}

{# Instants are cut in the table's time zone; a timestamp without zone is taken to be in it already. #}
{% macro partition_name(name, type, cut) %}
  {% set moment = name %}
  {% if 'with time zone' in type or type == 'timestamptz' %}{% set moment = "timezone('" ~ cut.timezone ~ "', " ~ name ~ ')' %}{% endif %}
  {% if cut.grain == 'value' %}{{ return('cast(' ~ name ~ ' as varchar)') }}{% endif %}
  {% set duckdb = {'hour': '%Y-%m-%dT%H', 'day': '%Y-%m-%d', 'month': '%Y-%m', 'year': '%Y'} %}
  {% set postgres = {'hour': 'YYYY-MM-DD"T"HH24', 'day': 'YYYY-MM-DD', 'month': 'YYYY-MM', 'year': 'YYYY'} %}
  {% if target.type == 'duckdb' %}
    {{ return('strftime(cast(' ~ moment ~ " as timestamp), '" ~ duckdb[cut.grain] ~ "')") }}
  {% endif %}
  {{ return('to_char(cast(' ~ moment ~ " as timestamp), '" ~ postgres[cut.grain] ~ "')") }}
{% endmacro %}
