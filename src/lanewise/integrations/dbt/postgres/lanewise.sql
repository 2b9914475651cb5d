{# Laid into the run copy of a project whose warehouse is PostgreSQL. Everything that a run makes goes into the schema of
   rooms, under a name that no other run has, with a comment that says whose it is: so an audit finds it, and what is
   left after a crash is found too. #}

{% macro generate_schema_name(custom_schema_name, node) %}{{ target.schema }}{% endmacro %}

{% macro generate_alias_name(custom_alias_name=none, node=none) %}
  {%- set readable = node.name | lower | replace('.', '_') -%}
  {%- do return('lw_' ~ local_md5(env_var('LANEWISE_RUN_ID') ~ node.unique_id)[:12] ~ '_' ~ readable[:24]) -%}
{% endmacro %}

{% macro source(source_name, table_name) %}
  {% set relation = builtins.source(source_name, table_name) %}
  {% set found = lanewise.input_of(source_name, table_name, relation.schema, relation.identifier) %}
  {% if found is none %}{{ return(relation) }}{% endif %}
  {{ return(relation.incorporate(path={'schema': found.schema, 'identifier': found.identifier})) }}
{% endmacro %}

{% macro lanewise_comment(kind, relation, temporary=false) %}
  {% set room = lanewise.room() %}
  {% set table = room.tables.get(model.name) if model.resource_type in ('model', 'seed') else none %}
  {% if not temporary %}comment on {{ kind }} {{ relation }} is {{ table.comment if table else room.comment }};{% endif %}
{% endmacro %}

{% macro postgres__create_table_as(temporary, relation, sql) -%}
  {{ dbt.postgres__create_table_as(temporary, relation, sql) }}
  {{ lanewise_comment('table', relation, temporary) }}
{%- endmacro %}

{% macro postgres__create_view_as(relation, sql) -%}
  {{ dbt.default__create_view_as(relation, sql) }};
  {{ lanewise_comment('view', relation) }}
{%- endmacro %}

{% macro postgres__create_csv_table(model, agate_table) %}
  {% set sql = dbt.default__create_csv_table(model, agate_table) %}
  {% do run_query(lanewise_comment('table', this)) %}
  {{ return(sql) }}
{% endmacro %}

{# What is handed over is a table. #}
{% materialization view, adapter='postgres' %}
  {% if model.name in lanewise.room().tables %}{{ return(dbt.materialization_table_default()) }}{% endif %}
  {{ return(dbt.materialization_view_default()) }}
{% endmaterialization %}

{% materialization materialized_view, adapter='postgres' %}
  {{ return(dbt.materialization_table_default()) }}
{% endmaterialization %}
